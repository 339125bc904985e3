//! Core functions that hash the bytes of a blob.

use cells::{Blob, Cell};
use sha2::Sha256;
use sha3::{Digest, Keccak256};

use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Outcome};
use crate::juice;

const NOT_A_BLOB: (Code, &str) = (Code::Cast, "bytes is no blob");
const COST: &str = "P:1000+20*bytes";

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 180,
        symbol: "hash",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["bytes"],
        doc: "The SHA3-256 digest of a blob. That of a value's encoding is the identity of the value on the network.",
        returns: "Blob of 32 bytes",
        errors: &[NOT_A_BLOB],
        juice: COST,
        examples: &[
            (
                "(hash 0x)",
                "0xa7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
            ),
            (
                "(hash 0x616263)",
                "0x3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
            ),
            ("(hash \"abc\")", "!:CAST"),
            ("(hash)", "!:ARITY"),
        ],
        run: hash,
    },
    Native {
        code: 181,
        symbol: "keccak256",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["bytes"],
        doc: "The Keccak-256 digest of a blob, as it was before it became SHA-3; other networks use it.",
        returns: "Blob of 32 bytes",
        errors: &[NOT_A_BLOB],
        juice: COST,
        examples: &[
            (
                "(keccak256 0x)",
                "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
            ),
            (
                "(keccak256 0x616263)",
                "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
            ),
            ("(keccak256 :abc)", "!:CAST"),
        ],
        run: keccak256,
    },
    Native {
        code: 182,
        symbol: "sha256",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["bytes"],
        doc: "The SHA-256 digest of a blob.",
        returns: "Blob of 32 bytes",
        errors: &[NOT_A_BLOB],
        juice: COST,
        examples: &[
            (
                "(sha256 0x)",
                "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                "(sha256 0x616263)",
                "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            ("(sha256 nil)", "!:CAST"),
        ],
        run: sha256,
    },
];

fn digest<D: Digest>(ctx: &mut Context<'_>, args: &[Cell]) -> Outcome {
    let bytes = ctx.blob(args, 0)?;
    // Nothing is hashed that is not paid for.
    let cost = juice::linear(juice::HASH, juice::HASH_BYTE, bytes.len());
    ctx.precheck(cost)?;
    let mut digest = D::new();
    bytes.for_each_chunk(&mut |chunk| digest.update(chunk))?;
    ctx.done(cost, Blob::new(&digest.finalize()))
}

fn hash(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    digest::<sha3::Sha3_256>(ctx, args)
}

fn keccak256(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    digest::<Keccak256>(ctx, args)
}

fn sha256(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    digest::<Sha256>(ctx, args)
}

#[cfg(test)]
mod tests {
    use crate::juice;
    use crate::rules::Rules;
    use crate::testing::{check, run_under};

    #[test]
    fn only_blobs_are_hashed() {
        check(&[
            ("(hash \"a\")", "!:CAST"),
            ("(hash #12)", "!:CAST"),
            ("(keccak256 nil)", "!:CAST"),
            ("(sha256 [])", "!:CAST"),
            ("(sha256 0x 0x)", "!:ARITY"),
        ]);
    }

    #[test]
    fn hashing_the_encoding_of_a_value_gives_its_identity() {
        let id = cells::Cell::Long(1).hash();
        check(&[("(hash (encoding 1))", &format!("0x{id}"))]);
    }

    #[test]
    fn each_byte_costs_the_same() {
        let cost = |source: &str| {
            run_under(Rules::latest(), source)
                .map(|run| run.juice)
                .unwrap()
        };
        assert_eq!(
            cost("(sha256 0x010203)") - cost("(sha256 0x)"),
            3 * juice::HASH_BYTE
        );
        assert!(cost("(sha256 0x)") > juice::HASH);
    }
}
