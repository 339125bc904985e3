//! Cells from other peers: all of them, whatever the sources do, with bounded memory, and never the same twice.

mod support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use cells::{Blob, Cell, Decoder, Hash, Map, Source, Vector};
use consensusd::peer::acquisition::{Ended, Failure, Fetcher, MAX_HELD, Wanted};
use consensusd::peer::saving::Saver;
use consensusd::peer::{Action, Connection};
use consensusd::source::Shelf;
use support::Disk;
use wire::{DataRequest, Message, Reply, answer_data};

/// What somebody does who is asked.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    /// Sends cells, but others than were asked for.
    Lies,
    /// Says nothing.
    Silent,
    /// Has no cell whose hash begins with an odd byte.
    Lacks,
    /// Has nothing.
    Empty,
    /// Sends all that is below a cell with it.
    Generous,
}

struct Joiner {
    disk: Arc<Disk>,
    shelf: Arc<Shelf>,
    fetcher: Fetcher,
    saver: Saver,
    others: Vec<(Manner, Arc<Disk>)>,
    ticket: u64,
    now: u64,
    /// Answers on their way, with the time when they arrive.
    answers: Vec<(u64, u64, Option<Reply>)>,
    asked: HashMap<Hash, u32>,
    /// Cells asked of each.
    by_source: Vec<usize>,
    most_unwritten: usize,
    most_in_flight: usize,
    /// Who names what is wanted.
    from: Option<Connection>,
}

/// Milliseconds that an answer takes.
const DELAY: u64 = 20;
/// Milliseconds after which `netd` says that there is no answer.
const TIMEOUT: u64 = 8_000;

impl Joiner {
    fn new(value: &Cell, manners: &[Manner]) -> Self {
        let other = Arc::new(Disk::default());
        other.fill(value);
        let _ = other.shelf();
        Self::on(
            Arc::default(),
            manners.iter().map(|m| (*m, other.clone())).collect(),
        )
    }

    fn on(disk: Arc<Disk>, others: Vec<(Manner, Arc<Disk>)>) -> Self {
        let shelf = disk.shelf();
        let mut saver = Saver::default();
        saver.link(true);
        let mut fetcher = Fetcher::default();
        for i in 0..others.len() {
            fetcher.sources().opened(i as Connection);
        }
        Self {
            disk,
            shelf,
            fetcher,
            saver,
            by_source: vec![0; others.len()],
            others,
            ticket: 0,
            now: 1_000,
            answers: Vec::new(),
            asked: HashMap::new(),
            most_unwritten: 0,
            most_in_flight: 0,
            from: Some(0),
        }
    }

    fn want(&mut self, hash: Hash) {
        let wanted = Wanted::Hash(hash);
        let begun = self
            .fetcher
            .want(wanted, self.from.take(), self.now, &self.shelf);
        assert_eq!(begun, Some(Ok(())));
    }

    /// One turn, as the peer has it; what is over, if anything.
    fn turn(&mut self) -> Option<Ended> {
        let ended = self.fetcher.ended(self.now);
        self.saver.take_fetched(&mut self.fetcher, ended.is_some());
        let mut out = Vec::new();
        self.saver.send(self.now, &mut out);
        for action in out.drain(..) {
            let Action::Store(batch) = action else {
                panic!("{action:?}");
            };
            self.disk.commit(&batch);
            let mut alarms = Vec::new();
            self.saver
                .durable_up_to(batch.sequence, &self.shelf, &mut alarms);
            assert!(alarms.is_empty(), "{alarms:?}");
        }
        if ended.is_some() {
            return ended;
        }
        let requests = self
            .fetcher
            .requests(&mut self.ticket, self.now, &self.shelf);
        for (ticket, source, hashes) in requests {
            assert!(hashes.len() <= wire::MAX_HASHES);
            self.by_source[source as usize] += hashes.len();
            for hash in &hashes {
                *self.asked.entry(*hash).or_default() += 1;
            }
            let (manner, disk) = &self.others[source as usize];
            let (delay, answer) = match manner {
                Manner::Silent => (TIMEOUT, None),
                manner => (DELAY, Some(self.answer(*manner, disk, hashes))),
            };
            self.answers.push((self.now + delay, ticket, answer));
        }
        self.most_in_flight = self.most_in_flight.max(self.answers.len());
        self.most_unwritten = self.most_unwritten.max(self.shelf.fetched_bytes());
        let next = self.answers.iter().map(|(at, ..)| *at).min();
        let due = self.fetcher.next(self.now);
        let then = next
            .into_iter()
            .chain(due)
            .min()
            .expect("something to wait for");
        self.now = self.now.max(then);
        let now = self.now;
        let (arrived, still) = std::mem::take(&mut self.answers)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.answers = still;
        for (_, ticket, answer) in arrived {
            self.fetcher
                .answered(ticket, answer.as_ref(), now, &self.shelf);
        }
        None
    }

    fn answer(&self, manner: Manner, disk: &Disk, hashes: Vec<Hash>) -> Reply {
        let request = DataRequest {
            id: Cell::Long(0),
            hashes,
        };
        if manner == Manner::Generous {
            let found = request.hashes.iter().map(|hash| disk.load_all(hash));
            return self.decoded(
                &Reply::ok(0, Cell::from(found.collect::<Vector>()))
                    .encode()
                    .unwrap(),
            );
        }
        let body = answer_data(&request, 1 << 20, |hash| {
            Ok::<_, Infallible>(match manner {
                Manner::Empty => None,
                Manner::Lacks if hash.0[0] % 2 == 1 => None,
                Manner::Lies => disk.get(hash).map(|_| Cell::from("a lie").encode()),
                _ => disk.get(hash),
            })
        });
        self.decoded(&body.unwrap())
    }

    fn decoded(&self, body: &[u8]) -> Reply {
        let source: Arc<dyn Source> = self.shelf.clone();
        match Message::decode(body, &Decoder::with_source(source))
            .unwrap()
            .unwrap()
        {
            Message::Result(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn until_over(&mut self) -> Ended {
        for _ in 0..100_000 {
            if let Some(ended) = self.turn() {
                return ended;
            }
        }
        panic!("it never ends");
    }

    fn acquire(&mut self, hash: Hash) -> Result<(), Failure> {
        self.want(hash);
        self.until_over().outcome
    }
}

/// A value of many cells: entries of about 200 bytes.
fn value(entries: i64) -> Cell {
    let mut map = Map::empty();
    for i in 0..entries {
        let text = format!("{i:0200}");
        map = map.assoc(Cell::Long(i), Cell::from(text.as_str())).unwrap();
    }
    let value = Cell::from(map);
    let _ = value.hash_all();
    value
}

fn cells_of(value: &Cell) -> usize {
    cells::novelty(value, |_| false).len()
}

#[test]
fn all_of_a_value_comes_each_cell_once_and_is_in_the_store_at_the_end() {
    let value = value(20_000);
    let count = cells_of(&value);
    let mut joiner = Joiner::new(&value, &[Manner::Honest; 3]);
    assert_eq!(joiner.acquire(value.hash()), Ok(()));
    assert_eq!(joiner.disk.len(), count);
    assert!(joiner.asked.values().all(|times| *times == 1));
    assert_eq!(joiner.fetcher.acquired().cells, count as u64);
    assert_eq!(joiner.shelf.fetched_bytes(), 0);
    // All of them did their part, and many requests were under way at once.
    assert!(
        joiner.by_source.iter().all(|n| *n > count / 6),
        "{:?}",
        joiner.by_source
    );
    assert!(joiner.most_in_flight > 8, "{}", joiner.most_in_flight);
    // What was on its way was much less than what there is.
    assert!(joiner.most_unwritten < 3 << 20, "{}", joiner.most_unwritten);
}

#[test]
fn who_was_interrupted_asks_only_for_what_is_not_in_the_store() {
    let value = value(20_000);
    let count = cells_of(&value);
    let mut disk: Arc<Disk> = Arc::default();
    let mut fetched = 0;
    for round in 0..100 {
        let other = Arc::new(Disk::default());
        other.fill(&value);
        let mut joiner = Joiner::on(disk, vec![(Manner::Honest, other)]);
        joiner.want(value.hash());
        let before = joiner.disk.len();
        // Killed in the middle: memory is gone, the store stays.
        let over = (0..12).find_map(|_| joiner.turn());
        fetched += joiner.fetcher.acquired().cells as usize;
        disk = joiner.disk;
        if let Some(ended) = over {
            assert_eq!(ended.outcome, Ok(()));
            assert!(round > 1, "it was interrupted {round} times");
            assert_eq!(disk.len(), count);
            assert!(fetched < count * 3 / 2, "{fetched} of {count}");
            return;
        }
        assert!(disk.len() > before, "no progress in round {round}");
    }
    panic!("it never ends");
}

#[test]
fn who_lies_is_not_asked_again_and_nothing_of_it_is_kept() {
    let value = value(3_000);
    let mut joiner = Joiner::new(&value, &[Manner::Lies, Manner::Honest]);
    assert_eq!(joiner.acquire(value.hash()), Ok(()));
    assert_eq!(joiner.disk.len(), cells_of(&value));
    assert!(
        joiner.by_source[0] <= wire::MAX_HASHES,
        "{:?}",
        joiner.by_source
    );
    let mut alone = Joiner::new(&value, &[Manner::Lies]);
    assert_eq!(alone.acquire(value.hash()), Err(Failure::Stalled));
    assert_eq!((alone.disk.len(), alone.by_source[0]), (0, 1));
}

#[test]
fn who_does_not_answer_holds_nobody_up_for_long() {
    let value = value(3_000);
    let mut joiner = Joiner::new(&value, &[Manner::Silent, Manner::Honest]);
    let before = joiner.now;
    assert_eq!(joiner.acquire(value.hash()), Ok(()));
    assert_eq!(joiner.disk.len(), cells_of(&value));
    assert!(joiner.now - before < 2 * TIMEOUT, "{}", joiner.now - before);
    let mut alone = Joiner::new(&value, &[Manner::Silent]);
    assert_eq!(alone.acquire(value.hash()), Err(Failure::Stalled));
    // It was tried again, but not as fast as possible.
    assert!(
        (2..10).contains(&alone.by_source[0]),
        "{:?}",
        alone.by_source
    );
}

#[test]
fn what_one_lacks_others_are_asked_for() {
    let value = value(3_000);
    let mut joiner = Joiner::new(&value, &[Manner::Lacks, Manner::Empty, Manner::Honest]);
    assert_eq!(joiner.acquire(value.hash()), Ok(()));
    assert_eq!(joiner.disk.len(), cells_of(&value));
    assert!(joiner.asked.values().all(|times| *times <= 3));
}

#[test]
fn what_nobody_has_ends_it_and_what_came_is_kept() {
    let value = value(3_000);
    let mut joiner = Joiner::new(&value, &[Manner::Lacks, Manner::Lacks]);
    let Err(Failure::Nowhere(hash)) = joiner.acquire(value.hash()) else {
        panic!("it is not there");
    };
    assert_eq!(hash.0[0] % 2, 1);
}

#[test]
fn an_endless_chain_ends_and_who_named_it_is_left_alone() {
    // Each link has 2 KB, and nothing of it can be stored before its end is there.
    let filler: Vec<Cell> = (0..15u8)
        .map(|i| Cell::from(Blob::new(&[i; 130])))
        .collect();
    let mut chain = Cell::Long(0);
    let mut held = 0;
    while held <= MAX_HELD + (1 << 20) {
        let link: Vector = filler.iter().cloned().chain([chain]).collect();
        chain = Cell::from(link);
        held += chain.encoded_len();
    }
    let mut joiner = Joiner::new(&chain, &[Manner::Honest]);
    assert_eq!(joiner.acquire(chain.hash()), Err(Failure::TooMuch));
    assert_eq!(joiner.disk.len(), 0);
    assert_eq!(joiner.fetcher.sources().free(joiner.now), []);
    assert!(joiner.fetcher.sources().next(joiner.now).is_some());
}

#[test]
fn what_comes_along_unasked_is_not_held() {
    let value = value(300);
    let mut joiner = Joiner::new(&value, &[Manner::Generous]);
    assert_eq!(joiner.acquire(value.hash()), Ok(()));
    assert_eq!(joiner.disk.len(), cells_of(&value));
    // As much was asked for as if nothing had come along.
    assert_eq!(joiner.by_source[0], cells_of(&value));
}

#[test]
fn acquisitions_of_values_that_overlap_share_what_comes() {
    let shared = value(3_000);
    let one = Cell::from(
        [shared.clone(), Cell::Long(1)]
            .into_iter()
            .collect::<Vector>(),
    );
    let two = Cell::from(
        [shared.clone(), Cell::Long(2)]
            .into_iter()
            .collect::<Vector>(),
    );
    let other = Arc::new(Disk::default());
    for value in [&one, &two] {
        other.fill(value);
        // They are small enough to be embedded, and asked for by their hashes all the same.
        other.fill_top(value);
    }
    let mut joiner = Joiner::on(Arc::default(), vec![(Manner::Honest, other)]);
    joiner.want(one.hash());
    joiner.want(two.hash());
    assert_eq!(joiner.until_over().outcome, Ok(()));
    assert_eq!(joiner.until_over().outcome, Ok(()));
    assert!(joiner.asked.values().all(|times| *times == 1));
    assert_eq!(joiner.disk.len(), cells_of(&shared) + 2);
}

#[test]
fn a_store_that_fails_is_nobodys_fault() {
    let value = value(3_000);
    let mut joiner = Joiner::new(&value, &[Manner::Honest]);
    joiner.want(value.hash());
    assert!(joiner.turn().is_none());
    joiner
        .disk
        .broken
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let ended = joiner.until_over();
    assert!(matches!(ended.outcome, Err(Failure::Store(_))));
    joiner
        .disk
        .broken
        .store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(joiner.fetcher.sources().free(joiner.now).len(), 1);
    assert_eq!(joiner.acquire(value.hash()), Ok(()));
}

#[test]
fn the_guess_of_what_is_there_grows_to_all_of_it() {
    let value = value(20_000);
    let mut joiner = Joiner::new(&value, &[Manner::Honest]);
    joiner.want(value.hash());
    let mut last = 0.0;
    let mut at_half = None;
    while joiner.turn().is_none() {
        let Some((done, _)) = joiner.fetcher.done() else {
            break;
        };
        assert!((last..=1.0).contains(&done), "{done} after {last}");
        if done >= 0.5 && at_half.is_none() {
            at_half = Some(joiner.fetcher.acquired().cells);
        }
        last = done;
    }
    assert!(last > 0.9, "{last}");
    let (half, all) = (at_half.unwrap(), joiner.fetcher.acquired().cells);
    assert!((all / 5..all * 4 / 5).contains(&half), "{half} of {all}");
}
