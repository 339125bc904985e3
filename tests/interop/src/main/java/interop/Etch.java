// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.data.ACell;
import convex.core.data.Cells;
import convex.core.data.Hash;
import convex.core.data.Ref;
import convex.etch.EtchStore;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;

/** Etch files made and read by the reference. */
final class Etch {
    private Etch() {}

    /** Writes a cell, all that it refers to, and the root that names it, into a new file or one that is there. */
    static Reply write(String[] arguments) throws Exception {
        EtchStore store = EtchStore.create(new File(arguments[0]));
        try {
            ACell root = Cells.persist(CellText.cell(arguments[1]), store);
            store.setRootData(root);
            store.flush();
            return new Reply()
                .put("root", store.getRootHash().toHexString())
                .put("length", new File(arguments[0]).length());
        } finally {
            store.close();
        }
    }

    /** Opens a file, reads its root with everything below it, and tells the root's hash and how many cells there were. */
    static Reply read(String file) throws Exception {
        if (!new File(file).isFile()) throw new IllegalArgumentException("no such file: " + file);
        EtchStore store = EtchStore.create(new File(file));
        try {
            return CurrentStore.with(store, () -> readRoot(store));
        } finally {
            store.close();
        }
    }

    /**
     * Opens a file and looks up each hash that a second file lists, 32 bytes each. Tells how many were there, the first that
     * was not or whose cell had another hash, and the SHA3-256 of all encodings in their order.
     */
    static Reply get(String[] arguments) throws Exception {
        byte[] hashes = Files.readAllBytes(Path.of(arguments[1]));
        EtchStore store = EtchStore.create(new File(arguments[0]));
        try {
            return CurrentStore.with(store, () -> lookUp(store, hashes));
        } finally {
            store.close();
        }
    }

    private static Reply lookUp(EtchStore store, byte[] hashes) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA3-256");
        long found = 0;
        String wrong = "";
        for (int i = 0; i < hashes.length; i += 32) {
            Hash hash = Hash.wrap(Arrays.copyOfRange(hashes, i, i + 32));
            Ref<ACell> ref = store.refForHash(hash);
            if (ref != null && Cells.getHash(ref.getValue()).equals(hash)) {
                found++;
                digest.update(ref.getValue().getEncoding().getBytes());
            } else if (wrong.isEmpty()) {
                wrong = hash.toHexString();
            }
        }
        return new Reply().put("found", found).put("wrong", wrong).put("sha3", CellText.hex(digest.digest()));
    }

    private static Reply readRoot(EtchStore store) throws Exception {
        Ref<ACell> root = store.refForHash(store.getRootHash());
        Reply reply = new Reply().put("root", store.getRootHash().toHexString());
        if (root == null) return reply.put("present", false);
        ACell cell = root.getValue();
        reply.put("present", true).put("hash", Cells.getHash(cell).toHexString());
        reply.put("cells", CellText.branches(cell).size() + 1);
        CellText.putEncoding(reply, "mc", cell);
        return reply;
    }
}
