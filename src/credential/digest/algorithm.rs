//! The hash algorithms of RFC 7616.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Algorithm {
    hash: Hash,
    /// Whether the key includes the nonces (`-sess`).
    pub(super) is_session: bool,
    /// The registered name. `None` if the challenge does not name an algorithm, which means MD5.
    pub(super) name: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
    Sha512Of256,
}

impl Algorithm {
    pub(super) fn from_name(name: Option<&str>) -> Option<Self> {
        const KNOWN: [(&str, Hash, bool); 6] = [
            ("MD5", Hash::Md5, false),
            ("MD5-sess", Hash::Md5, true),
            ("SHA-256", Hash::Sha256, false),
            ("SHA-256-sess", Hash::Sha256, true),
            ("SHA-512-256", Hash::Sha512Of256, false),
            ("SHA-512-256-sess", Hash::Sha512Of256, true),
        ];
        let Some(name) = name else {
            return Some(Self {
                hash: Hash::Md5,
                is_session: false,
                name: None,
            });
        };
        let mut known = KNOWN.iter();
        let (name, hash, is_session) =
            known.find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        Some(Self {
            hash: *hash,
            is_session: *is_session,
            name: Some(name),
        })
    }

    /// Returns the hash of the parts joined by colons, in lowercase hexadecimal digits.
    pub(super) fn hash(self, parts: &[&str]) -> String {
        fn digest<D: Digest>(parts: &[&str]) -> String {
            let mut digest = D::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    digest.update(b":");
                }
                digest.update(part.as_bytes());
            }
            let bytes = digest.finalize();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        match self.hash {
            Hash::Md5 => digest::<Md5>(parts),
            Hash::Sha256 => digest::<Sha256>(parts),
            Hash::Sha512Of256 => digest::<Sha512_256>(parts),
        }
    }
}
