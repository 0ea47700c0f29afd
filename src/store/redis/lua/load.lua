return { 'done', entry.revision, entry.tokens or false, entry.intent or false }
