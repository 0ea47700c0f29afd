//! One script for each operation. Redis runs a script atomically.

use redis::Script;

pub(super) struct Scripts {
    pub(super) load: Script,
    pub(super) save: Script,
    pub(super) delete: Script,
    pub(super) try_lock: Script,
    pub(super) renew: Script,
    pub(super) unlock: Script,
    pub(super) set_intent: Script,
}

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("lua/entry.lua"),
            include_str!(concat!("lua/", $name, ".lua"))
        ))
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            load: script!("load"),
            save: script!("save"),
            delete: script!("delete"),
            try_lock: script!("try_lock"),
            renew: script!("renew"),
            unlock: script!("unlock"),
            set_intent: script!("set_intent"),
        }
    }
}
