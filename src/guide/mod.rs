//! A guide with one page per task.
//!
//! | I want to | page |
//! |---|---|
//! | send my first authenticated request | [`first_call`] |
//! | choose a provider, or write one | [`providers`] |
//! | know what happens to a request: a POST, a 401, an outage | [`faq`] |
//! | order my layers | [the crate's page](crate#layer-order) |
//! | make requests for many users | [`many_users`] |
//! | share one refresh token between several processes | [`fleets`] |
//! | test my own program | [`test_util`](crate::test_util) |
//! | observe the layer in production | [`observability`] |
//! | know what the crate protects, and what my program must protect | [`security`] |
//! | replace my own code, or another crate | [`migrating`] |

pub mod first_call {
    #![doc = include_str!("first_call.md")]
}

pub mod providers {
    #![doc = include_str!("providers.md")]
}

pub mod faq {
    #![doc = include_str!("faq.md")]
}

pub mod many_users {
    #![doc = include_str!("many_users.md")]
}

pub mod fleets {
    #![doc = include_str!("fleets.md")]
}

pub mod observability {
    #![doc = include_str!("observability.md")]
}

pub mod security {
    #![doc = include_str!("security.md")]
}

pub mod migrating {
    #![doc = include_str!("migrating.md")]
}
