//! The guide: one page for each thing one wants to do.
//!
//! | I want to | page |
//! |---|---|
//! | send my first authenticated request | [`first_call`] |
//! | know which provider is mine, or write one | [`providers`] |
//! | know what happens to a request: a POST, a 401, an outage | [`questions`] |
//! | order my layers | [the crate's page](crate#the-order-of-layers) |
//! | call for many users | [`many_users`] |
//! | run several processes on one refresh token | [`fleets`] |
//! | test my own program | [`test_util`](crate::test_util) |
//! | see it at work in production | [`watching`] |
//! | know what it protects, and what I have to | [`security`] |
//! | replace my own code, or another crate | [`moving`] |

pub mod first_call {
    #![doc = include_str!("first_call.md")]
}

pub mod providers {
    #![doc = include_str!("providers.md")]
}

pub mod questions {
    #![doc = include_str!("questions.md")]
}

pub mod many_users {
    #![doc = include_str!("many_users.md")]
}

pub mod fleets {
    #![doc = include_str!("fleets.md")]
}

pub mod watching {
    #![doc = include_str!("watching.md")]
}

pub mod security {
    #![doc = include_str!("security.md")]
}

pub mod moving {
    #![doc = include_str!("moving.md")]
}
