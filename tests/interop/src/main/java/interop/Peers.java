// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.api.Convex;
import convex.api.ConvexRemote;
import convex.core.Result;
import convex.core.crypto.AKeyPair;
import convex.core.cvm.Address;
import convex.core.cvm.Keywords;
import convex.core.cvm.Peer;
import convex.core.cvm.State;
import convex.core.cvm.transactions.ATransaction;
import convex.core.data.ACell;
import convex.core.data.AccountKey;
import convex.core.data.Blob;
import convex.core.data.Hash;
import convex.core.data.Keyword;
import convex.core.data.SignedData;
import convex.core.lang.Reader;
import convex.core.store.AStore;
import convex.etch.EtchStore;
import convex.peer.API;
import convex.peer.Server;
import java.io.File;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Peers of the reference, and connections of its client library to any peer. */
final class Peers {
    /** Longer than the library itself waits. */
    private static final long PATIENCE_SECONDS = 30;

    private final List<Server> servers = new ArrayList<>();
    private final List<ConvexRemote> clients = new ArrayList<>();

    /** A peer on a network of its own, from this genesis state: seed of its key, then perhaps file of its store and port. */
    Reply start(State genesis, String[] arguments) throws Exception {
        Map<Keyword, Object> config = config(arguments[0], arguments, 1);
        config.put(Keywords.STATE, genesis);
        return launch(config);
    }

    /** A peer that joins the network of another one: seed of its key, where the other one is, then as above. */
    Reply join(String[] arguments) throws Exception {
        Map<Keyword, Object> config = config(arguments[0], arguments, 2);
        config.put(Keywords.SOURCE, address(arguments[1]));
        return launch(config);
    }

    /** A peer that goes on with the store that an earlier one left: seed of its key, file of the store, perhaps its port. */
    Reply resume(String[] arguments) throws Exception {
        Map<Keyword, Object> config = config(arguments[0], arguments, 1);
        config.put(Keywords.RESTORE, true);
        return launch(config);
    }

    /** The arguments from a place on are file of the store and port; in place of those that are not there, anything goes. */
    private static Map<Keyword, Object> config(String seed, String[] arguments, int from) throws Exception {
        Map<Keyword, Object> config = new HashMap<>();
        config.put(Keywords.KEYPAIR, AKeyPair.create(CellText.bytes(seed)));
        boolean hasStore = arguments.length > from;
        config.put(Keywords.STORE, hasStore ? EtchStore.create(new File(arguments[from])) : EtchStore.createTemp());
        config.put(Keywords.PORT, arguments.length > from + 1 ? Integer.parseInt(arguments[from + 1]) : 0);
        config.put(Keywords.RESTORE, false);
        config.put(Keywords.PERSIST, false);
        config.put(Keywords.AUTO_MANAGE, false);
        return config;
    }

    private Reply launch(Map<Keyword, Object> config) throws Exception {
        Server server = API.launchPeer(config);
        servers.add(server);
        return describe(servers.size() - 1);
    }

    Reply describe(int number) {
        Server server = servers.get(number);
        // One picture, so that the state is that after the blocks.
        Peer peer = server.getPeer();
        return new Reply()
            .put("peer", number)
            .put("port", server.getPort())
            .put("key", server.getPeerKey().toHexString())
            .put("genesis", peer.getGenesisHash().toHexString())
            .put("state", peer.getConsensusState().getHash().toHexString())
            .put("blocks", peer.getStatePosition())
            .put("connections", server.getConnectionManager().getConnectionCount())
            .put("beliefs", server.getBeliefReceivedCount());
    }

    /** Has a peer open a connection to another one. */
    Reply dial(String[] arguments) throws Exception {
        Server server = servers.get(Integer.parseInt(arguments[0]));
        Convex connection = server.getConnectionManager().connectToPeer(address(arguments[1]));
        if (connection == null) throw new IllegalStateException("the peer did not connect");
        return describe(Integer.parseInt(arguments[0]));
    }

    /** Its store, which the library leaves open, is closed too: until then the file does not say how much is in it. */
    Reply stop(int number) {
        Server server = servers.get(number);
        server.close();
        server.getStore().close();
        return new Reply().put("peer", number);
    }

    /** A connection of the client library: host and port, account, seed of its key. */
    Reply connect(String[] arguments) throws Exception {
        ConvexRemote client = Convex.connect(
            address(arguments[0]),
            Address.create(Long.parseLong(arguments[1])),
            AKeyPair.create(CellText.bytes(arguments[2])));
        clients.add(client);
        return new Reply().put("client", clients.size() - 1).put("connected", client.isConnected());
    }

    /** One call of the library: number of the client, what, arguments. */
    Reply call(String line) throws Exception {
        String[] words = line.split(" ", 3);
        ConvexRemote client = clients.get(Integer.parseInt(words[0]));
        String rest = words.length > 2 ? words[2] : "";
        return switch (words[1]) {
            case "status" -> result(client.requestStatusSync(PATIENCE_SECONDS * 1000));
            case "query" -> {
                String[] query = rest.split(" ", 2);
                Address address = query[0].equals("-") ? null : Address.create(Long.parseLong(query[0]));
                yield result(client.querySync(Reader.read(query[1]), address));
            }
            case "query-cell" -> {
                String[] query = rest.split(" ", 2);
                yield result(client.querySync(CellText.cell(query[1]), Address.create(Long.parseLong(query[0]))));
            }
            case "source" -> result(client.transactSync(rest));
            case "transact" -> result(client.transactSync((ATransaction) CellText.cell(rest)));
            case "signed" -> signed(client, rest);
            case "transfer" -> {
                String[] transfer = rest.split(" ");
                yield result(client.transferSync(Address.create(Long.parseLong(transfer[0])), Long.parseLong(transfer[1])));
            }
            case "raw" -> result(client.messageRaw(Blob.wrap(CellText.bytes(rest))).get(PATIENCE_SECONDS, TimeUnit.SECONDS));
            case "create-account" -> new Reply()
                .put("address", client.createAccountSync(AccountKey.fromHex(rest)).longValue());
            case "balance" -> new Reply().put("balance", client.getBalance());
            case "sequence" -> new Reply().put("sequence", client.getSequence());
            case "acquire" -> acquire(client, Hash.fromHex(rest));
            case "acquire-state" -> value(client.acquireState().get(PATIENCE_SECONDS, TimeUnit.SECONDS));
            case "reconnect" -> {
                client.reconnect();
                yield new Reply().put("connected", client.isConnected());
            }
            case "close" -> {
                client.close();
                yield new Reply().put("connected", client.isConnected());
            }
            default -> throw new IllegalArgumentException("unknown call: " + words[1]);
        };
    }

    @SuppressWarnings("unchecked")
    private static Reply signed(ConvexRemote client, String cell) throws Exception {
        return result(client.transactSync((SignedData<ATransaction>) CellText.cell(cell)));
    }

    /** With a store that has nothing, so that every cell comes from the peer. */
    private static Reply acquire(ConvexRemote client, Hash hash) throws Exception {
        AStore store = EtchStore.createTemp();
        try {
            ACell found = client.acquire(hash, store).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
            return value(found);
        } finally {
            store.close();
        }
    }

    private static Reply value(ACell cell) {
        Reply reply = new Reply()
            .put("kind", cell == null ? "nil" : cell.getClass().getSimpleName())
            .put("hash", cell == null ? Hash.NULL_HASH.toHexString() : cell.getHash().toHexString())
            .put("cells", cell == null ? 1 : CellText.branches(cell).size() + 1);
        CellText.putEncoding(reply, "mc", cell);
        return reply;
    }

    /** The result as it came, but for its id. */
    private static Reply result(Result result) {
        Reply reply = new Reply();
        CellText.putEncoding(reply, "result", result.withID(null));
        CellText.putText(reply, "text", result.withID(null));
        return reply;
    }

    private static InetSocketAddress address(String text) {
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(text.substring(0, colon), Integer.parseInt(text.substring(colon + 1)));
    }
}
