//! The supported signature algorithms.

/// The signature algorithm of a JWT (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSA keys of at least 2048 bits, with PKCS #1 v1.5 padding and SHA-256. All servers support
    /// it.
    Rs256,
    /// RSA keys of at least 2048 bits, with PSS padding and SHA-256.
    Ps256,
    /// ECDSA on the P-256 curve, with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// Returns the value of a JWT's `alg`, such as `RS256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}
