return { 'ok', entry.revision, entry.tokens or false, entry.intent or false }
