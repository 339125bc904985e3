// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.Result;
import convex.core.ResultContext;
import convex.core.cpos.Block;
import convex.core.cpos.BlockResult;
import convex.core.crypto.AKeyPair;
import convex.core.crypto.Ed25519Signature;
import convex.core.cvm.AOp;
import convex.core.cvm.AccountStatus;
import convex.core.cvm.Address;
import convex.core.cvm.Context;
import convex.core.cvm.PeerStatus;
import convex.core.cvm.State;
import convex.core.cvm.TransactionContext;
import convex.core.cvm.exception.AExceptional;
import convex.core.cvm.exception.ErrorValue;
import convex.core.cvm.transactions.ATransaction;
import convex.core.cvm.transactions.Invoke;
import convex.core.data.ACell;
import convex.core.data.AVector;
import convex.core.data.AccountKey;
import convex.core.data.Blob;
import convex.core.data.Cells;
import convex.core.data.SignedData;
import convex.core.init.Init;
import convex.core.lang.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** What each request does. The README beside the project lists requests and replies. */
final class Commands {
    /** Juice for compiling a form whose execution is limited otherwise. */
    private static final long COMPILE_LIMIT = 10_000_000;

    /** Every state that was loaded or kept, by its number. */
    private final List<State> kept = new ArrayList<>();

    private final Peers peers = new Peers();

    private State base;
    private State current;
    private long baseMemory;

    Reply answer(String line) throws Exception {
        String[] head = line.split(" ", 2);
        String rest = head.length > 1 ? head[1] : "";
        return switch (head[0]) {
            case "hello" -> hello();
            case "limit" -> limit(words(rest, 2));
            case "state" -> load((State) CellText.cell(words(rest, 1)[0]));
            case "genesis" -> genesis(words(rest, -3));
            case "keep" -> keep();
            case "use" -> use(words(rest, 1)[0]);
            case "reset" -> become(base);
            case "reload" -> become((State) CellText.decode(CellText.multiCell(state())));
            case "where" -> describe(state());
            case "dump" -> dump(words(rest, 1)[0]);
            case "account" -> account(Long.parseLong(words(rest, 1)[0]));
            case "peer" -> peer(words(rest, 1)[0]);
            case "globals" -> cell(state().getGlobals());
            case "decode", "print" -> cell(CellText.cell(words(rest, 1)[0]));
            case "decode1" -> cell(CellText.decodeOne(CellText.bytes(words(rest, 1)[0])));
            case "read" -> cell(form(rest));
                        case "compile" -> compile(new Program(rest));
            case "eval" -> evaluate(new Program(rest), false);
            case "step" -> evaluate(new Program(rest), true);
            case "run" -> runCell(new Program(rest));
            case "invoke" -> invoke(new Program(rest));
            case "tx" -> transaction((ATransaction) CellText.cell(words(rest, 1)[0]));
            case "stx" -> signedTransaction(words(rest, 1)[0]);
            case "block" -> block(words(rest, 1)[0]);
            case "sign" -> sign(words(rest, 2));
            case "verify" -> verify(words(rest, 3));
            case "etch-write" -> Etch.write(words(rest, 2));
            case "etch-get" -> Etch.get(words(rest, 2));
            case "etch-read" -> Etch.read(words(rest, 1)[0]);
            case "keys-write" -> KeyStores.write(words(rest, 4));
            case "keys-read" -> KeyStores.read(words(rest, 5));
            case "keys-derive" -> KeyStores.derive(words(rest, 3));
            case "merge" -> Merge.merge(state(), words(rest, -3));
            case "bench" -> Bench.run(words(rest, -1));
            case "peer-start" -> peers.start(state(), words(rest, -1));
            case "peer-join" -> peers.join(words(rest, -2));
            case "peer-resume" -> peers.resume(words(rest, -2));
            case "peer-dial" -> peers.dial(words(rest, 2));
            case "peer-where" -> peers.describe(Integer.parseInt(words(rest, 1)[0]));
            case "peer-stop" -> peers.stop(Integer.parseInt(words(rest, 1)[0]));
            case "connect" -> peers.connect(words(rest, 3));
            case "call" -> peers.call(rest);
            default -> throw new IllegalArgumentException("unknown request: " + head[0]);
        };
    }

    /** Splits arguments at spaces; a negative count is a minimum. */
    private static String[] words(String text, int count) {
        String[] words = text.isBlank() ? new String[0] : text.strip().split(" +");
        boolean good = count < 0 ? words.length >= -count : words.length == count;
        if (!good) throw new IllegalArgumentException("expected " + Math.abs(count) + " arguments, got " + words.length);
        return words;
    }

    /**
     * Account, juice limit, and the rest of the line as it is: source text, or {@code x:} and its UTF-8 bytes in hex
     * for text that has line breaks or other bytes that a line cannot carry.
     */
    private static final class Program {
        final Address account;
        final long number;
        final String text;

        Program(String rest) {
            String[] parts = rest.split(" ", 3);
            if (parts.length < 3) throw new IllegalArgumentException("expected an account, a number and a text");
            account = Address.create(Long.parseLong(parts[0]));
            number = Long.parseLong(parts[1]);
            text = parts[2];
        }

        ACell form() {
            return Commands.form(text);
        }
    }

    private static ACell form(String text) {
        return Reader.read(text.startsWith("x:") ? utf8(text.substring(2)) : text);
    }

    private static String utf8(String hex) {
        return new String(HexFormat.of().parseHex(hex), StandardCharsets.UTF_8);
    }

    private State state() {
        if (current == null) throw new IllegalStateException("no state loaded: use state or genesis first");
        return current;
    }

    private static Reply hello() {
        // Not the package's manifest version: a library of classes in a folder has none.
        String jar = State.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        return new Reply()
            .put("oracle", 1)
            .put("library", jar.substring(jar.lastIndexOf('/') + 1))
            .put("java", Runtime.version().toString());
    }

    private static Reply limit(String[] limits) {
        CellText.encodingLimit = Integer.parseInt(limits[0]);
        CellText.textLimit = Integer.parseInt(limits[1]);
        return new Reply().put("encoding", CellText.encodingLimit).put("text", CellText.textLimit);
    }

    // States

    private Reply load(State loaded) {
        baseMemory = loaded.getMemorySize();
        base = loaded;
        current = loaded;
        return keep();
    }

    private Reply genesis(String[] keys) {
        List<AccountKey> peers = new ArrayList<>();
        for (int i = 2; i < keys.length; i++) peers.add(AccountKey.fromHex(keys[i]));
        return load(Init.createState(AccountKey.fromHex(keys[0]), AccountKey.fromHex(keys[1]), peers));
    }

    private Reply keep() {
        kept.add(state());
        return describe(current).put("id", kept.size() - 1);
    }

    private Reply use(String id) {
        return become(kept.get(Integer.parseInt(id)));
    }

    private Reply become(State next) {
        current = next;
        return describe(state());
    }

    private static Reply describe(State state) {
        return new Reply()
            .put("state", state.getHash().toHexString())
            .put("mem", state.getMemorySize())
            .put("accounts", state.getAccounts().count())
            .put("peers", state.getPeers().count())
            .put("schedule", state.getSchedule().count())
            .put("timestamp", state.getTimestamp().longValue())
            .put("total_balance", state.computeTotalBalance());
    }

    private Reply dump(String file) throws Exception {
        byte[] bytes = CellText.multiCell(state());
        Files.write(Path.of(file), bytes);
        return describe(state()).put("bytes", bytes.length);
    }

    private Reply account(long number) {
        AccountStatus account = state().getAccount(Address.create(number));
        if (account == null) throw new IllegalArgumentException("no such account");
        return new Reply()
            .put("hash", account.getHash().toHexString())
            .put("sequence", account.getSequence())
            .put("balance", account.getBalance())
            .put("memory", account.getMemory())
            .put("cell", cell(account));
    }

    private Reply peer(String key) {
        PeerStatus peer = state().getPeer(AccountKey.fromHex(key));
        if (peer == null) throw new IllegalArgumentException("no such peer");
        return cell(peer);
    }

    // Cells and source text

    /**
     * All that is to be said about a cell. The library accepts some bytes of which it then cannot tell everything
     * (a printed form, a hash): a field that throws is named with the kind of its exception and the rest still comes.
     */
    private static Reply cell(ACell cell) {
        Reply reply = new Reply().put("kind", cell == null ? "nil" : cell.getClass().getSimpleName());
        attempt(reply, "hash", () -> reply.put("hash", Cells.getHash(cell).toHexString()));
        attempt(reply, "text", () -> CellText.putText(reply, "text", cell));
        attempt(reply, "enc", () -> reply.put("enc", CellText.hex(Cells.getEncoding(cell).getBytes())));
        attempt(reply, "mc", () -> CellText.putEncoding(reply, "mc", cell));
        attempt(reply, "cells", () -> reply.put("cells", CellText.branches(cell).size() + 1));
        attempt(reply, "mem", () -> reply.put("mem", ACell.getMemorySize(cell)));
        attempt(reply, "embedded", () -> reply.put("embedded", Cells.isEmbedded(cell)));
        attempt(reply, "canonical", () -> reply.put("canonical", Cells.isCanonical(cell)));
        attempt(reply, "cvm", () -> reply.put("cvm", Cells.isCVM(cell)));
        attempt(reply, "refs", () -> reply.put("refs", Cells.refCount(cell)));
        attempt(reply, "branches", () -> reply.put("branches", cell == null ? 0 : cell.getBranchCount()));
        return reply;
    }

    private static void attempt(Reply reply, String field, Runnable put) {
        try {
            put.run();
        } catch (RuntimeException | StackOverflowError fault) {
            reply.put(field + "_throws", fault.getClass().getSimpleName());
        }
    }

    private Reply compile(Program program) {
        ACell form = program.form();
        Reply reply = new Reply();
        CellText.putEncoding(reply, "form", form);
        CellText.putText(reply, "form_text", form);
        Context compiled = Context.create(state(), program.account, program.number).expandCompile(form);
        if (compiled.isExceptional()) return reply.put("compile_fails", true).put("r", outcome(compiled));
        AOp<?> op = compiled.getResult();
        CellText.putEncoding(reply, "op", op);
        CellText.putText(reply, "op_text", op);
        return reply.put("compile_juice", compiled.getJuiceUsed());
    }

    // Execution

    /** The fields of one case of the evaluation vectors. */
    private Reply evaluate(Program program, boolean advance) {
        ACell form;
        try {
            form = program.form();
        } catch (convex.core.exceptions.ParseException e) {
            return new Reply().put("read_error", String.valueOf(e.getMessage()));
        }
        Reply reply = new Reply();
        CellText.putEncoding(reply, "form", form);
        CellText.putText(reply, "form_text", form);
        // The op is wanted whatever the limit: it is run under the limit by itself.
        Context compiled = Context.create(state(), program.account, COMPILE_LIMIT)
            .expandCompile(form);
        AOp<?> op = null;
        if (compiled.isExceptional()) {
            reply.put("compile_fails", true);
        } else {
            op = compiled.getResult();
            CellText.putEncoding(reply, "op", op);
            reply.put("compile_juice", compiled.getJuiceUsed());
        }
        Context done;
        try {
            done = fork(program).run(form);
        } catch (RuntimeException | StackOverflowError fault) {
            return reply.put("throws", fault.getClass().getSimpleName());
        }
        reply.put("r", outcome(done));
        if (op != null) {
            try {
                Context executed = fork(program).run(op);
                reply.put("op_juice", executed.getJuiceUsed());
                reply.put("ro", outcome(executed));
            } catch (RuntimeException | StackOverflowError fault) {
                reply.put("op_throws", fault.getClass().getSimpleName());
            }
        }
        if (advance) current = done.getState();
        return reply;
    }

    private Context fork(Program program) {
        return Context.create(state(), program.account, program.number);
    }

    /** Runs a form or an op that is given as a cell, where {@code eval} starts from text. */
    private Reply runCell(Program program) throws Exception {
        ACell code = CellText.cell(program.text);
        Context start = fork(program);
        Context done = code instanceof AOp<?> op ? start.run(op) : start.run(code);
        return outcome(done);
    }

    private Reply outcome(Context context) {
        Reply reply = new Reply();
        if (context.isExceptional()) {
            AExceptional error = context.getExceptional();
            reply.put("ok", false);
            putCell(reply, "error", error.getCode());
            putCell(reply, "message", error.getMessage());
            if (error instanceof ErrorValue value) {
                if (value.getAddress() != null) reply.put("eaddr", value.getAddress().longValue());
                reply.putStrings("trace", value.getTrace());
            }
        } else {
            reply.put("ok", true);
            putCell(reply, "value", context.getResult());
        }
        if (context.getLog() != null && !context.getLog().isEmpty()) CellText.putEncoding(reply, "log", context.getLog());
        State after = context.getState();
        return reply
            .put("juice", context.getJuiceUsed())
            .put("state", after.getHash().toHexString())
            .put("mem_delta", after.getMemorySize() - baseMemory);
    }

    private static void putCell(Reply reply, String name, ACell cell) {
        CellText.putText(reply, name, cell);
        CellText.putEncoding(reply, name + "_enc", cell);
    }

    // Transactions

    private Reply invoke(Program program) {
        return transaction(Invoke.create(program.account, program.number, program.form()));
    }

    /** Applies an unsigned transaction with all its accounting; the current state becomes the outcome. */
    private Reply transaction(ATransaction transaction) {
        return applied(state().applyTransaction(transaction, TransactionContext.create(state())));
    }

    @SuppressWarnings("unchecked")
    private Reply signedTransaction(String argument) throws Exception {
        SignedData<ATransaction> signed = (SignedData<ATransaction>) CellText.cell(argument);
        return applied(state().applyTransaction(signed, TransactionContext.create(state())));
    }

    private Reply applied(ResultContext applied) {
        Reply reply = new Reply().put("pre", state().getHash().toHexString());
        current = applied.context.getState();
        reply.put("r", outcome(applied.context));
        return reply
            .put("post", current.getHash().toHexString())
            .put("fees", applied.totalFees)
            .put("juice", applied.juiceUsed)
            .put("mem_used", applied.memUsed);
    }

    @SuppressWarnings("unchecked")
    private Reply block(String argument) throws Exception {
        SignedData<Block> signed = (SignedData<Block>) CellText.cell(argument);
        State before = state();
        BlockResult applied = before.applyBlock(signed);
        current = applied.getState();
        AVector<Result> results = applied.getResults();
        List<Reply> transactions = new ArrayList<>();
        for (long i = 0; i < results.count(); i++) transactions.add(result(results.get(i)));
        Reply reply = describe(current)
            .put("block_hash", signed.getHash().toHexString())
            .put("pre", before.getHash().toHexString())
            .put("post", current.getHash().toHexString())
            .put("block_result_hash", applied.getHash().toHexString());
        CellText.putEncoding(reply, "globals", current.getGlobals());
        return reply.putAll("txs", transactions);
    }

    private static Reply result(Result result) {
        Reply reply = new Reply();
        if (result.getErrorCode() != null) CellText.putText(reply, "error", result.getErrorCode());
        putCell(reply, "value", result.getValue());
        CellText.putText(reply, "info", result.getInfo());
        CellText.putEncoding(reply, "result", result);
        return reply;
    }

    // Signatures

    private static Reply sign(String[] arguments) throws Exception {
        AKeyPair keys = AKeyPair.create(CellText.bytes(arguments[0]));
        SignedData<ACell> signed = keys.signData(CellText.cell(arguments[1]));
        return cell(signed).put("key", keys.getAccountKey().toHexString());
    }

    private static Reply verify(String[] arguments) throws Exception {
        AccountKey key = AccountKey.fromHex(arguments[0]);
        Ed25519Signature signature = Ed25519Signature.wrap(CellText.bytes(arguments[1]));
        return new Reply().put("valid", signature.verify(Blob.wrap(CellText.bytes(arguments[2])), key));
    }
}
