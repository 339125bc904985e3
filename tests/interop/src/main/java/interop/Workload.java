// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.cpos.Belief;
import convex.core.cpos.Block;
import convex.core.cpos.Order;
import convex.core.crypto.AKeyPair;
import convex.core.crypto.Hashing;
import convex.core.cvm.AccountStatus;
import convex.core.cvm.Address;
import convex.core.cvm.Context;
import convex.core.cvm.PeerStatus;
import convex.core.cvm.State;
import convex.core.cvm.transactions.ATransaction;
import convex.core.cvm.transactions.Invoke;
import convex.core.cvm.transactions.Transfer;
import convex.core.data.ACell;
import convex.core.data.AVector;
import convex.core.data.AccountKey;
import convex.core.data.Index;
import convex.core.data.SignedData;
import convex.core.lang.Reader;
import java.util.ArrayList;
import java.util.List;

/** The users, peers, transactions, blocks and beliefs of the workloads in {@code spec/10}. */
final class Workload {
    private Workload() {}

    static final int TRANSACTIONS = 10_000;

    private static final int USERS = 100;
    private static final int BLOCK_SIZE = 1_000;
    private static final long FIRST_USER = 132;
    private static final long USER_BALANCE = 100_000_000_000L;
    private static final long USER_MEMORY = 100_000;
    static final long FIRST_TIME = 1_735_056_001_000L;
    private static final long GOLD = 1_000_000_000L;
    private static final String CODE = "(do (def a (inc 41)) (* a 2))";

    static AKeyPair userKeys(int user) {
        return AKeyPair.create(Hashing.sha3("perf-user" + user).getBytes());
    }

    /** The given genesis with the hundred users appended. */
    static State users(byte[] genesis) throws Exception {
        State state = (State) CellText.decode(genesis);
        if (state.getAccounts().count() != FIRST_USER) throw new IllegalArgumentException("not the genesis of the workload");
        AVector<AccountStatus> accounts = state.getAccounts();
        for (int user = 0; user < USERS; user++) {
            AccountStatus account = AccountStatus.create(0, USER_BALANCE, userKeys(user).getAccountKey());
            accounts = accounts.conj(account.withMemory(USER_MEMORY));
        }
        return state.withAccounts(accounts);
    }

    /** Transaction {@code n} of the workload; the command is nil for transfers. */
    static ATransaction transaction(int n, ACell command) {
        int user = n % USERS;
        long sequence = 1 + n / USERS;
        Address origin = Address.create(FIRST_USER + user);
        if (command != null) return Invoke.create(origin, sequence, command);
        return Transfer.create(origin, sequence, Address.create(FIRST_USER + (7 * user + 1) % USERS), 1_000 + n);
    }

    /** What the transactions of a kind execute: nothing (they transfer), source form, or compiled op. */
    static ACell command(State state, String kind) {
        return switch (kind) {
            case "transfer" -> null;
            case "form" -> Reader.read(CODE);
            case "op" -> Context.create(state, Address.create(FIRST_USER), 1_000_000).expandCompile(Reader.read(CODE)).getResult();
            default -> throw new IllegalArgumentException("kinds are transfer, form and op");
        };
    }

    /** The encodings of the ten signed blocks. */
    static List<byte[]> blocks(ACell command) {
        AKeyPair peer = AKeyPair.create(Hashing.sha3("convex-vectors-shared/peer0").getBytes());
        List<byte[]> blocks = new ArrayList<>();
        for (int first = 0; first < TRANSACTIONS; first += BLOCK_SIZE) {
            List<SignedData<ATransaction>> transactions = new ArrayList<>();
            for (int n = first; n < first + BLOCK_SIZE; n++) {
                transactions.add(userKeys(n % USERS).signData(transaction(n, command)));
            }
            Block block = Block.create(FIRST_TIME + 1_000L * blocks.size(), transactions);
            blocks.add(CellText.multiCell(peer.signData(block)));
        }
        return blocks;
    }

    @SuppressWarnings("unchecked")
    static SignedData<Block> block(byte[] encoding) throws Exception {
        return (SignedData<Block>) CellText.decode(encoding);
    }

    // Belief merge

    static AKeyPair peerKeys(int peer) {
        return AKeyPair.create(Hashing.sha3("perf-peer" + peer).getBytes());
    }

    /** The given state with its peers replaced: peer i has a stake of 10,000 + i gold. */
    static State peers(State state, int count) {
        Index<AccountKey, PeerStatus> peers = Index.none();
        for (int i = 0; i < count; i++) {
            PeerStatus peer = PeerStatus.create(Address.create(FIRST_USER), (10_000L + i) * GOLD);
            peers = peers.assoc(peerKeys(i).getAccountKey(), peer);
        }
        return withPeers(state, peers);
    }

    /** The key type of the peer index differs between releases in its type parameter only. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private static State withPeers(State state, Index peers) {
        return state.withPeers(peers);
    }

    /** Orders of all peers with ten common blocks and, for {@code own} = 1, one more block of each peer's own. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    static Belief belief(int peers, int own) {
        SignedData<Block>[] blocks = new SignedData[10 + own];
        for (int i = 0; i < 10; i++) blocks[i] = transferBlock(0, i);
        SignedData<Order>[] orders = new SignedData[peers];
        for (int peer = 0; peer < peers; peer++) {
            if (own == 1) blocks[10] = transferBlock(peer, 10 + peer);
            Order order = Order.create(0, 0, blocks).withTimestamp(FIRST_TIME + 20_000 + own);
            orders[peer] = peerKeys(peer).signData(order);
        }
        return Belief.create(orders);
    }

    private static SignedData<Block> transferBlock(int peer, int n) {
        SignedData<ATransaction> transfer = userKeys(n % USERS).signData(transaction(n, null));
        return peerKeys(peer).signData(Block.create(FIRST_TIME + n, List.of(transfer)));
    }
}
