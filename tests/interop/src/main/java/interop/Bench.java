// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.cpos.Belief;
import convex.core.cpos.BeliefMerge;
import convex.core.cpos.Block;
import convex.core.cpos.Order;
import convex.core.crypto.AKeyPair;
import convex.core.crypto.ASignature;
import convex.core.crypto.Hashing;
import convex.core.cvm.State;
import convex.core.cvm.transactions.ATransaction;
import convex.core.data.ACell;
import convex.core.data.AVector;
import convex.core.data.Blob;
import convex.core.data.Cells;
import convex.core.data.Format;
import convex.core.data.Hash;
import convex.core.data.Keyword;
import convex.core.data.Maps;
import convex.core.data.Ref;
import convex.core.data.SignedData;
import convex.core.data.Strings;
import convex.core.data.Vectors;
import convex.core.data.prim.CVMLong;
import convex.etch.EtchStore;
import java.io.File;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * The workloads of {@code spec/10} that run inside one process, so that ratios can be taken on one machine in one
 * session. Every workload reports minimum, median and maximum rate over its runs, and what shows that the work was
 * done right (a hash, a count).
 */
final class Bench {
    private Bench() {}

    static Reply run(String[] arguments) throws Exception {
        String name = arguments[0];
        return switch (name) {
            case "sha3" -> sha3(Integer.parseInt(argument(arguments, 1)));
            case "ed25519-sign" -> sign();
            case "ed25519-verify" -> verify();
            case "genesis-decode" -> decode(name, CellText.bytes(argument(arguments, 1)), 20, 9, 10);
            case "decode" -> decode(name, CellText.bytes(argument(arguments, 1)), 1, 9, 3);
            case "transfer-decode" -> decodeTransfer();
            case "encode" -> encode(false);
            case "encode-again" -> encode(true);
            case "encode-decode" -> decode(name, Format.encodeMultiCell(customers(), true).getBytes(), 1, 9, 3);
            case "transition" -> transition(arguments);
            case "merge" -> merge(CellText.bytes(argument(arguments, 1)), Integer.parseInt(argument(arguments, 2)));
            case "etch" -> etch(argument(arguments, 1));
            case "replay" -> replay(argument(arguments, 1), argument(arguments, 2));
            default -> throw new IllegalArgumentException("unknown workload: " + name);
        };
    }

    private static String argument(String[] arguments, int index) {
        if (index < arguments.length) return arguments[index];
        throw new IllegalArgumentException("workload " + arguments[0] + " needs an argument " + index);
    }

    /** One run: prepares what is not timed, then returns the seconds that the timed part took. */
    @FunctionalInterface
    interface Run {
        double seconds() throws Exception;
    }

    /** Rates of {@code runs} runs of {@code work} units each, after {@code warmUp} runs that are not counted. */
    private static Reply measure(String name, String unit, double work, int runs, int warmUp, Run run)
        throws Exception {
        for (int i = 0; i < warmUp; i++) run.seconds();
        double[] rates = new double[runs];
        for (int i = 0; i < runs; i++) rates[i] = work / run.seconds();
        return rates(name, unit, rates).put("warm_up", warmUp);
    }

    private static Reply rates(String name, String unit, double[] rates) {
        double[] sorted = rates.clone();
        Arrays.sort(sorted);
        return new Reply()
            .put("bench", name)
            .put("min", rounded(sorted[0]))
            .put("median", rounded(sorted[sorted.length / 2]))
            .put("max", rounded(sorted[sorted.length - 1]))
            .put("unit", unit)
            .put("runs", sorted.length);
    }

    private static double rounded(double rate) {
        return rate >= 1_000 ? Math.rint(rate) : Math.rint(rate * 100) / 100;
    }

    private static double since(long start) {
        return (System.nanoTime() - start) / 1e9;
    }

    // Primitives

    private static Reply sha3(int length) throws Exception {
        byte[] buffer = new byte[length];
        new Random(1).nextBytes(buffer);
        int count = Math.max(1, 20_000_000 / length);
        byte[][] last = new byte[1][];
        return measure("sha3 " + length, "MB/s", (double) count * length / 1e6, 5, 1, () -> {
            long start = System.nanoTime();
            MessageDigest digest = Hashing.getSHA3Digest();
            for (int i = 0; i < count; i++) {
                digest.update(buffer);
                last[0] = digest.digest();
                // The next input depends on this output: nothing can be skipped.
                buffer[0] = last[0][0];
            }
            return since(start);
        }).put("last", CellText.hex(last[0]));
    }

    private static final int SIGNATURES = 4_000;

    private static List<AKeyPair> keys(int count) {
        List<AKeyPair> keys = new ArrayList<>();
        for (int i = 0; i < count; i++) keys.add(AKeyPair.create(Hashing.sha3("perf-key" + i).getBytes()));
        return keys;
    }

    private static List<Blob> messages() {
        List<Blob> messages = new ArrayList<>();
        for (int i = 0; i < SIGNATURES; i++) messages.add(Hashing.sha3("perf-message" + i).toFlatBlob());
        return messages;
    }

    private static Reply sign() throws Exception {
        List<AKeyPair> keys = keys(16);
        List<Blob> messages = messages();
        return measure("ed25519-sign", "/s", SIGNATURES, 5, 1, () -> {
            long start = System.nanoTime();
            for (int i = 0; i < SIGNATURES; i++) keys.get(i % 16).sign(messages.get(i));
            return since(start);
        });
    }

    private static Reply verify() throws Exception {
        List<AKeyPair> keys = keys(16);
        List<Blob> messages = messages();
        List<ASignature> signatures = new ArrayList<>();
        for (int i = 0; i < SIGNATURES; i++) signatures.add(keys.get(i % 16).sign(messages.get(i)));
        return measure("ed25519-verify", "/s", SIGNATURES, 7, 2, () -> {
            long start = System.nanoTime();
            for (int i = 0; i < SIGNATURES; i++) {
                if (!signatures.get(i).verify(messages.get(i), keys.get(i % 16).getAccountKey())) {
                    throw new IllegalStateException("a good signature was refused");
                }
            }
            return since(start);
        });
    }

    // Encoding

    private static Reply decode(String name, byte[] message, int perRun, int runs, int warmUp) throws Exception {
        Hash[] hash = new Hash[1];
        return measure(name, "MB/s", perRun * message.length / 1e6, runs, warmUp, () -> {
            long start = System.nanoTime();
            for (int i = 0; i < perRun; i++) hash[0] = CellText.decode(message).getHash();
            return since(start);
        }).put("bytes", message.length).put("hash", hash[0].toHexString());
    }

    private static Reply decodeTransfer() throws Exception {
        ATransaction transfer = Workload.transaction(0, null);
        byte[] message = Workload.userKeys(0).signData(transfer).getEncoding().getBytes();
        int count = 200_000;
        return measure("transfer-decode", "/s", count, 7, 3, () -> {
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) CellText.decode(message);
            return since(start);
        }).put("bytes", message.length);
    }

    /** The encode workload of {@code spec/10}: 10,000 maps about made-up customers. */
    private static ACell customers() {
        AVector<ACell> all = Vectors.empty();
        for (int i = 0; i < 10_000; i++) {
            all = all.conj(Maps.of(
                Keyword.create("id"), CVMLong.create(i),
                Keyword.create("name"), Strings.create("customer number " + i
                    + " of the workload, with a padding text of some length to exceed the limit"),
                Keyword.create("tags"), Vectors.of(CVMLong.create(i % 7), CVMLong.create(i % 11), CVMLong.create(i % 13)),
                Keyword.create("key"), Hashing.sha3("k" + i).toFlatBlob()));
        }
        return all;
    }

    private static Reply encode(boolean again) throws Exception {
        long[] length = new long[1];
        double[] rates = new double[again ? 7 : 9];
        for (int i = again ? -3 : -4; i < rates.length; i++) {
            ACell fresh = customers();
            if (again) Format.encodeMultiCell(fresh, true);
            long start = System.nanoTime();
            length[0] = Format.encodeMultiCell(fresh, true).count();
            double seconds = since(start);
            if (i >= 0) rates[i] = length[0] / 1e6 / seconds;
        }
        return rates(again ? "encode-again" : "encode", "MB/s", rates)
            .put("bytes", length[0])
            .put("hash", Cells.getHash(customers()).toHexString());
    }

    // State transition

    /** Arguments: genesis state, kind (transfer, form, op), and {@code signed} or {@code checked}. */
    private static Reply transition(String[] arguments) throws Exception {
        State start = Workload.users(CellText.bytes(argument(arguments, 1)));
        String kind = argument(arguments, 2);
        boolean checkedBefore = switch (argument(arguments, 3)) {
            case "checked" -> true;
            case "signed" -> false;
            default -> throw new IllegalArgumentException("signatures are signed or checked");
        };
        List<byte[]> blocks = Workload.blocks(Workload.command(start, kind));
        Hash[] last = new Hash[1];
        long[] failed = new long[1];
        return measure("transition " + kind + " " + arguments[3], "tx/s", Workload.TRANSACTIONS, 7, 3, () -> {
            List<SignedData<Block>> decoded = new ArrayList<>();
            for (byte[] block : blocks) decoded.add(Workload.block(block));
            if (checkedBefore) {
                for (SignedData<Block> block : decoded) {
                    AVector<SignedData<ATransaction>> all = block.getValue().getTransactions();
                    for (long i = 0; i < all.count(); i++) {
                        if (!all.get(i).checkSignature()) throw new IllegalStateException("bad signature in workload");
                    }
                }
            }
            failed[0] = 0;
            long clock = System.nanoTime();
            State state = start;
            for (SignedData<Block> block : decoded) {
                var applied = state.applyBlock(block);
                state = applied.getState();
                last[0] = state.getHash();
                for (long i = 0; i < applied.getResults().count(); i++) if (applied.isError(i)) failed[0]++;
            }
            return since(clock);
        }).put("final", last[0].toHexString()).put("failed", failed[0]);
    }

    /**
     * Replays the chosen order of a belief from its genesis. Arguments: genesis state, belief. The first run is the
     * cold one and is reported apart.
     */
    private static Reply replay(String genesisArgument, String beliefArgument) throws Exception {
        byte[] genesis = CellText.bytes(genesisArgument);
        byte[] belief = CellText.bytes(beliefArgument);
        int runs = 12;
        double[] milliseconds = new double[runs];
        Hash last = null;
        long blocks = 0;
        long accounts = 0;
        for (int run = 0; run < runs; run++) {
            long start = System.nanoTime();
            State state = (State) CellText.decode(genesis);
            Order order = longest((Belief) CellText.decode(belief));
            blocks = order.getConsensusPoint();
            for (long i = 0; i < blocks; i++) state = state.applyBlock(order.getBlock(i)).getState();
            last = state.getHash();
            accounts = state.getAccounts().count();
            milliseconds[run] = since(start) * 1e3;
        }
        double[] warm = Arrays.copyOfRange(milliseconds, 1, runs);
        return rates("replay", "ms", warm)
            .put("cold", rounded(milliseconds[0]))
            .put("blocks", blocks)
            .put("accounts", accounts)
            .put("final", last.toHexString());
    }

    /** The order that has come furthest: the highest consensus point. */
    private static Order longest(Belief belief) {
        Order best = null;
        var orders = belief.getOrders();
        for (long i = 0; i < orders.count(); i++) {
            Order order = (Order) ((SignedData<?>) orders.entryAt(i).getValue()).getValue();
            if (best == null || order.getConsensusPoint() > best.getConsensusPoint()) best = order;
        }
        if (best == null) throw new IllegalArgumentException("the belief has no order");
        return best;
    }

    /** One merge of one received belief by the first of {@code peers} peers; arguments: any state, number of peers. */
    private static Reply merge(byte[] genesis, int peers) throws Exception {
        State state = Workload.peers((State) CellText.decode(genesis), peers);
        byte[] own = CellText.multiCell(Workload.belief(peers, 0));
        byte[] received = CellText.multiCell(Workload.belief(peers, 1));
        int runs = peers > 500 ? 3 : peers > 50 ? 7 : 20;
        double[] milliseconds = new double[runs];
        for (int run = -2; run < runs; run++) {
            Belief before = (Belief) CellText.decode(own);
            Belief other = (Belief) CellText.decode(received);
            long start = System.nanoTime();
            Belief merged = BeliefMerge.create(before, Workload.peerKeys(0), Workload.FIRST_TIME + 60_000, state).merge(other);
            double seconds = since(start);
            if (merged.equals(before)) throw new IllegalStateException("the merge changed nothing");
            if (run >= 0) milliseconds[run] = seconds * 1e3;
        }
        return rates("merge " + peers, "ms", milliseconds).put("warm_up", 2).put("bytes", received.length);
    }

    // Store

    /** 200,000 blobs of 150 bytes into a new file in the given folder, then all of them read back in random order. */
    private static Reply etch(String folder) throws Exception {
        int count = 200_000;
        int runs = 5;
        double[] writes = new double[runs];
        double[] reads = new double[runs];
        Random random = new Random(7);
        List<Hash> hashes = new ArrayList<>();
        List<Ref<ACell>> refs = new ArrayList<>();
        for (int run = 0; run < runs; run++) {
            hashes.clear();
            refs.clear();
            for (int i = 0; i < count; i++) {
                Ref<ACell> ref = Blob.createRandom(random, 150).getRef();
                hashes.add(ref.getHash());
                refs.add(ref);
            }
            File file = File.createTempFile("oracle", ".etch", new File(folder));
            Files.delete(file.toPath());
            try {
                EtchStore store = EtchStore.create(file);
                long start = System.nanoTime();
                for (Ref<ACell> ref : refs) store.storeTopRef(ref, Ref.STORED, null);
                writes[run] = count / since(start);
                store.close();

                Collections.shuffle(hashes, random);
                refs.clear();
                store = EtchStore.create(file);
                start = System.nanoTime();
                for (Hash hash : hashes) {
                    if (store.refForHash(hash).getValue() == null) throw new IllegalStateException("a cell is missing");
                }
                reads[run] = count / since(start);
                store.close();
            } finally {
                Files.deleteIfExists(file.toPath());
            }
        }
        return new Reply()
            .put("bench", "etch")
            .put("write", rates("etch-write", "cells/s", writes))
            .put("read", rates("etch-read", "cells/s", reads));
    }
}
