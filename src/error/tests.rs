use super::*;

fn provider_error() -> ProviderError {
    ProviderError::login_required(ConfigError::new("token", "is empty"))
}

#[test]
fn each_message_of_the_chain_is_printed_once() {
    let error = Error::provider(provider_error());
    let mut chain = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(error) = next {
        chain.push(format!("{error}"));
        next = error.source();
    }
    let expected = [
        "failed to get a credential",
        "log in again",
        "token: is empty",
    ];
    assert_eq!(chain, expected);
    assert_eq!(format!("{error:#}"), expected.join(": "));
    assert_eq!(
        format!("{:#}", error.provider_error().unwrap()),
        expected[1..].join(": ")
    );
}

#[test]
fn debug_shows_the_whole_message_first() {
    assert_eq!(
        format!("{:?}", Error::provider(provider_error())),
        "Error(\"failed to get a credential: log in again: token: is empty\", LoginRequired)"
    );
    assert_eq!(
        format!("{:?}", provider_error()),
        "ProviderError(\"log in again: token: is empty\", LoginRequired)"
    );
    assert_eq!(
        format!("{:?}", ConfigError::new("token", "is empty")),
        "ConfigError(\"token: is empty\")"
    );
}

#[test]
fn the_source_can_be_downcast() {
    let error = Error::provider(provider_error());
    let source = error.source().unwrap();
    let source = source.downcast_ref::<ProviderError>().unwrap();
    assert!(source.is_login_required());
    assert!(source.source().unwrap().is::<ConfigError>());
}

#[test]
fn the_kind_distinguishes_a_required_login() {
    for (error, kind) in [
        (ProviderError::transient("x"), ErrorKind::Provider),
        (ProviderError::permanent("x"), ErrorKind::Provider),
        (ProviderError::login_required("x"), ErrorKind::LoginRequired),
    ] {
        let error = Error::provider(error);
        assert_eq!(error.kind(), kind);
        assert!(error.is_provider());
        assert_eq!(error.is_login_required(), kind == ErrorKind::LoginRequired);
    }
    let error = Error::revoke(provider_error());
    assert_eq!(error.kind(), ErrorKind::Revoke);
    assert!(!error.is_provider() && !error.is_login_required());
    assert!(error.provider_error().is_some());
}
