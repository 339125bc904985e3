//! Special ops: what `*address*` and the like stand for (`spec/02 §14`).

use cells::{Cell, Index, Map};

use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::juice;

/// Symbols of the special ops; the position is the code.
pub const SPECIALS: [&str; 25] = [
    "*juice*",
    "*caller*",
    "*address*",
    "*memory*",
    "*balance*",
    "*origin*",
    "*result*",
    "*timestamp*",
    "*depth*",
    "*offer*",
    "*state*",
    "*holdings*",
    "*sequence*",
    "*key*",
    "*juice-price*",
    "*scope*",
    "*juice-limit*",
    "*controller*",
    "*env*",
    "*parent*",
    "*nop*",
    "*memory-price*",
    "*signer*",
    "*peer*",
    "*location*",
];

/// Code of `*address*`.
pub(crate) const ADDRESS: u8 = 2;

/// The code of the special op with this name.
#[must_use]
pub fn special_code(name: &[u8]) -> Option<u8> {
    if name.first() != Some(&b'*') {
        return None;
    }
    SPECIALS
        .iter()
        .position(|s| s.as_bytes() == name)
        .map(|code| code as u8)
}

/// Runs the special op `code`. The depth has been raised already for the op itself.
pub(crate) fn execute(ctx: &mut Context<'_>, code: u8) -> Outcome {
    let address = |a: Option<u64>| a.map_or(Cell::Nil, Cell::Address);
    let value = match code {
        0 => Cell::Long(ctx.juice() as i64),
        1 => address(ctx.caller),
        2 => Cell::Address(ctx.address),
        3 => Cell::Long(ctx.account()?.allowance),
        4 => Cell::Long(ctx.account()?.balance),
        5 => Cell::Address(ctx.origin),
        6 | 20 => ctx.result.clone(),
        7 => Cell::Long(ctx.state.globals().timestamp),
        8 => Cell::Long(i64::from(ctx.depth) - 1),
        9 => Cell::Long(ctx.offer),
        10 => ctx.state.to_cell()?,
        11 => Cell::from(
            ctx.account()?
                .holdings()
                .cloned()
                .unwrap_or_else(Index::empty),
        ),
        12 => Cell::Long(ctx.account()?.sequence),
        13 => ctx.account()?.key_cell(),
        14 => Cell::Long(ctx.state.globals().juice_price),
        15 => ctx.scope.clone(),
        16 => Cell::Long(ctx.limit() as i64),
        17 => ctx.account()?.controller().clone(),
        18 => Cell::from(
            ctx.account()?
                .environment()
                .cloned()
                .unwrap_or_else(Map::empty),
        ),
        19 => address(ctx.account()?.parent()),
        21 => {
            let globals = ctx.state.globals();
            Cell::Double(globals.memory_coins as f64 / globals.memory_pool as f64)
        }
        22 => ctx
            .signer
            .map_or(Cell::Nil, |key| Cell::from(cells::Blob::new(&key))),
        23 => ctx.peer.clone().unwrap_or(Cell::Nil),
        24 => {
            let (block, index) = ctx.location;
            Cell::from(
                [block, index]
                    .map(Cell::Long)
                    .into_iter()
                    .collect::<cells::Vector>(),
            )
        }
        _ => return Err(Exit::host_fault("special op without a meaning")),
    };
    ctx.done(juice::SPECIAL, value)
}
