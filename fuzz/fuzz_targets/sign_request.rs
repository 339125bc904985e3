//! What a hostile `consensusd` may ask `keyd` for: arbitrary bytes, one after the other, to one signer.
//!
//! - Recognition gives a request or a refusal, in memory that its length bounds.
//! - What is approved is a vector of a challenge or answer, an order or a block: nothing that could be a transaction.
//! - Two orders of one time are never approved but as one with blocks appended, and no time under the ceiling at all.
#![no_main]

use arbitrary::Unstructured;
use cells::{Cell, Hash};
use libfuzzer_sys::fuzz_target;
use signing::{Decision, Identity, Kind, Now, Rates, Signer, recognise};

const START: i64 = 1_735_056_000_000;

fuzz_target!(|data: &[u8]| {
    let u = &mut Unstructured::new(data);
    let identity = Identity {
        key: crypto::AccountKey::new([7; 32]),
        network: Hash([1; 32]),
    };
    let mut now = Now {
        wall: START,
        steady: 0,
    };
    let mut signer = Signer::new(identity, Some(START), Rates::default(), now);
    let mut last_order = i64::MIN;
    while let Ok(request) = u.arbitrary::<Vec<u8>>() {
        if request.is_empty() {
            break;
        }
        let step = i64::from(u.arbitrary::<u16>().unwrap_or(0));
        now.wall += step;
        now.steady += step as u64;
        let _ = recognise(&request);
        let mut decision = signer.submit(&request, [9; 32], now);
        if let Decision::Record(ceiling) = decision {
            assert!(ceiling <= now.wall + signing::AHEAD);
            signer.recorded(ceiling);
            decision = signer.submit(&request, [9; 32], now);
        }
        let approval = match decision {
            Decision::Sign(approval) => approval,
            Decision::Refuse(_) => continue,
            Decision::Record(_) => panic!("asked for a second time"),
        };
        let first = approval.value().encode()[0];
        match approval.kind() {
            Kind::Order => assert_eq!(first, 0xd7),
            Kind::Block => assert_eq!(first, 0xd6),
            Kind::Challenge | Kind::Answer => {
                assert!(matches!(approval.value(), Cell::Vector(_)));
            }
        }
        if let Some(time) = approval.time() {
            assert!(time > START + signing::AHEAD, "under the floor");
            assert!(time <= now.wall + signing::AHEAD && time <= signer.ceiling().durable());
            if approval.kind() == Kind::Order {
                assert!(time >= last_order);
                last_order = time;
            }
        }
    }
});
