//! What a peer keeps in its store, in the layout of the reference, so that a store can be handed over either way (`spec/05 §15.1`).

use cells::{Blob, Cell, CellError, Keyword, Map, Vector};
use consensus::{Belief, BeliefFault, Order, OrderFault};
use crypto::AccountKey;

/// A peer as it was when it was last written down.
#[derive(Debug, Clone)]
pub struct PeerData {
    /// Its belief.
    pub belief: Belief,
    /// The genesis state.
    pub genesis: Cell,
    /// The state after [`PeerData::position`] blocks.
    pub state: Cell,
    /// Number of executed blocks.
    pub position: u64,
    /// The own order when the last of them was executed.
    pub order: Order,
    /// The block results since genesis.
    pub results: Vector,
    /// Time of the start of the peer.
    pub timestamp: i64,
}

/// Why the root of a store is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The root is no map, or an entry is not what it should be.
    #[error("the root of the store has no usable {0}")]
    Entry(&'static str),
    /// The belief in it is malformed.
    #[error("the belief in the store: {0}")]
    Belief(#[from] BeliefFault),
    /// The order in it is malformed.
    #[error("the order in the store: {0}")]
    Order(#[from] OrderFault),
    /// A part can't be read.
    #[error("the root of the store can't be read: {0}")]
    Data(#[from] CellError),
}

fn keyword(name: &'static str) -> Cell {
    Cell::from(Keyword::literal(name))
}

fn peer_key(key: &AccountKey) -> Cell {
    Cell::from(Blob::new(key.as_bytes()))
}

/// The root as a map; empty when there is none yet.
///
/// # Errors
/// When it is something else.
pub fn entries(root: &Cell) -> Result<Map, RootError> {
    match root {
        Cell::Nil => Ok(Map::empty()),
        Cell::Map(map) => Ok(map.clone()),
        _ => Err(RootError::Entry("map")),
    }
}

/// What the root has of this peer.
///
/// # Errors
/// When it has something that is no peer data, or can't be read.
pub fn read(root: &Map, key: &AccountKey) -> Result<Option<PeerData>, RootError> {
    let data = match root.get(&peer_key(key))? {
        None => return Ok(None),
        Some(Cell::Map(data)) => data,
        Some(_) => return Err(RootError::Entry("peer data")),
    };
    let entry = |name: &'static str| data.get(&keyword(name))?.ok_or(RootError::Entry(name));
    let number = |name: &'static str| match entry(name)? {
        Cell::Long(n) => Ok(n),
        _ => Err(RootError::Entry(name)),
    };
    let results = match entry("results")? {
        Cell::Vector(results) => results,
        _ => return Err(RootError::Entry("results")),
    };
    let order = match data.get(&keyword("order"))? {
        None | Some(Cell::Nil) => Order::empty(),
        Some(order) => Order::from_cell(&order)?,
    };
    Ok(Some(PeerData {
        belief: Belief::from_cell(&entry("belief")?)?,
        genesis: entry("genesis")?,
        state: entry("state")?,
        position: u64::try_from(number("position")?).map_err(|_| RootError::Entry("position"))?,
        order,
        results,
        timestamp: number("timestamp")?,
    }))
}

/// The peer data map.
///
/// # Errors
/// Never for values in memory.
pub fn data(key: &AccountKey, peer: &PeerData) -> Result<Map, CellError> {
    let position = i64::try_from(peer.position).unwrap_or(i64::MAX);
    let entries = [
        ("belief", peer.belief.to_cell()),
        ("genesis", peer.genesis.clone()),
        ("state", peer.state.clone()),
        ("position", Cell::Long(position)),
        ("order", peer.order.to_cell()),
        ("results", Cell::from(peer.results.clone())),
        ("history", Cell::Long(0)),
        ("key", peer_key(key)),
        ("timestamp", Cell::Long(peer.timestamp)),
    ];
    entries
        .into_iter()
        .try_fold(Map::empty(), |map, (k, v)| map.assoc(keyword(k), v))
}

/// The root with this peer in it; what it has of others stays.
///
/// # Errors
/// When a node of `others` can't be read.
pub fn write(others: &Map, key: &AccountKey, peer: &PeerData) -> Result<Cell, CellError> {
    let data = data(key, peer)?;
    Ok(Cell::from(
        others.clone().assoc(peer_key(key), Cell::from(data))?,
    ))
}
