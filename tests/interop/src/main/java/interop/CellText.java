// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.crypto.Hashing;
import convex.core.cvm.CVMEncoder;
import convex.core.data.ACell;
import convex.core.data.Blob;
import convex.core.data.Cells;
import convex.core.data.Hash;
import convex.core.data.Ref;
import convex.core.data.util.BlobBuilder;
import convex.core.lang.RT;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;

/** Cells as text and text as cells, in the conventions of the golden vectors: hex, sorted multi-cell, printed form. */
final class CellText {
    private CellText() {}

    /** Above this many bytes a multi-cell encoding is given as its length and SHA3-256. */
    static int encodingLimit = 65_536;

    /** Above this many bytes a printed form is left out. */
    static int textLimit = 1_999;

    private static final HexFormat HEX = HexFormat.of();

    /** Bytes of an argument: hex, {@code -} for none, or {@code @file} for the raw content of a file. */
    static byte[] bytes(String argument) throws IOException {
        if (argument.equals("-")) return new byte[0];
        if (argument.startsWith("@")) return Files.readAllBytes(Path.of(argument.substring(1)));
        return HEX.parseHex(argument);
    }

    static String hex(byte[] bytes) {
        return HEX.formatHex(bytes);
    }

    /** Decodes a complete message: a cell followed by the cells it refers to, in any order. */
    static ACell decode(byte[] bytes) throws Exception {
        return CurrentStore.decodeMessage(bytes);
    }

    /** Decodes exactly one cell, which may refer to cells that are not there. */
    static ACell decodeOne(byte[] bytes) throws Exception {
        return (ACell) CVMEncoder.INSTANCE.decode(Blob.wrap(bytes));
    }

    static ACell cell(String argument) throws Exception {
        return decode(bytes(argument));
    }

    /** Top cell, then every distinct non-embedded cell below it in ascending order of hash. */
    static byte[] multiCell(ACell top) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(Cells.getEncoding(top).getBytes());
        for (ACell child : branches(top).values()) {
            byte[] encoding = child.getEncoding().getBytes();
            writeCount(out, encoding.length);
            out.writeBytes(encoding);
        }
        return out.toByteArray();
    }

    /** Every distinct non-embedded cell below the given one, by hash. Works without recursion: trees may be deep. */
    static Map<Hash, ACell> branches(ACell top) {
        Map<Hash, ACell> found = new TreeMap<>((a, b) -> Arrays.compareUnsigned(a.getBytes(), b.getBytes()));
        ArrayDeque<ACell> open = new ArrayDeque<>();
        if (top != null) open.add(top);
        while (!open.isEmpty()) {
            ACell cell = open.removeLast();
            int count = cell.getRefCount();
            for (int i = 0; i < count; i++) {
                Ref<ACell> ref = cell.getRef(i);
                ACell child = ref.getValue();
                if (child == null) continue;
                if (ref.isEmbedded()) {
                    open.add(child);
                } else if (found.putIfAbsent(ref.getHash(), child) == null) {
                    open.add(child);
                }
            }
        }
        return found;
    }

    private static void writeCount(ByteArrayOutputStream out, int count) {
        int shift = 28;
        while (shift > 0 && (count >>> shift) == 0) shift -= 7;
        for (; shift > 0; shift -= 7) out.write(0x80 | ((count >>> shift) & 0x7f));
        out.write(count & 0x7f);
    }

    /** Puts {@code name} = sorted multi-cell, or {@code name_len} and {@code name_sha3} where that is long. */
    static void putEncoding(Reply reply, String name, ACell cell) {
        byte[] encoding = multiCell(cell);
        if (encoding.length <= encodingLimit) {
            reply.put(name, hex(encoding));
        } else {
            reply.put(name + "_len", encoding.length);
            reply.put(name + "_sha3", Hashing.sha3(encoding).toHexString());
        }
    }

    /** Puts the printed form under {@code name}, or its bytes under {@code name_hex} when they are not UTF-8. */
    static void putText(Reply reply, String name, ACell cell) {
        BlobBuilder out = new BlobBuilder();
        try {
            if (!RT.print(out, cell, textLimit)) return;
        } catch (RuntimeException fault) {
            // Some values that decode have no printed form; what else is to be said of them still comes.
            reply.put(name + "_throws", fault.getClass().getSimpleName());
            return;
        }
        byte[] bytes = out.toBlob().getBytes();
        try {
            reply.put(name, StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
        } catch (CharacterCodingException e) {
            reply.put(name + "_hex", hex(bytes));
        }
    }
}
