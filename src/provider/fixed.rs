//! Static credentials, which are their own providers.

use std::future::{Future, ready};

use super::{Issued, Provider, RefreshContext};
use crate::{
    credential::{ApiKey, Basic, Bearer},
    error::ProviderError,
};

macro_rules! provides_itself {
    ($($credential:ty),*) => {$(
        /// The credential is static: it is available from the start and never refreshed, and a
        /// response that rejects it is returned to the caller unchanged.
        impl Provider for $credential {
            type Credential = Self;

            fn issue(
                &self,
                _: RefreshContext<Self>,
            ) -> impl Future<Output = Result<Issued<Self>, ProviderError>> + Send {
                ready(Ok(Issued::permanent(self.clone())))
            }

            fn initial(&self) -> Option<Issued<Self>> {
                Some(Issued::permanent(self.clone()))
            }
        }
    )*};
}

provides_itself!(ApiKey, Basic, Bearer);
#[cfg(feature = "digest")]
provides_itself!(crate::credential::Digest);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Lifetime;

    /// P18: the permanent lifetime is what makes a 401 final for static credentials.
    #[test]
    fn static_credentials_are_available_at_once_and_permanent() {
        fn check<P: Provider>(provider: &P) {
            let initial = provider.initial().expect("available from the start");
            assert_eq!(initial.lifetime(), Lifetime::Permanent);
        }
        check(&Bearer::new("token").unwrap());
        check(&Basic::new("user", "password").unwrap());
        check(&ApiKey::header("x-api-key", "key").unwrap());
        check(&ApiKey::query("api_key", "key").unwrap());
    }
}
