// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.data.ACell;
import convex.core.data.Cells;
import convex.core.data.Ref;
import convex.etch.EtchStore;
import java.io.File;

/** Etch files made and read by the reference. */
final class Etch {
    private Etch() {}

    /** Writes a cell, all that it refers to, and the root that names it. */
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
