// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.cvm.CVMEncoder;
import convex.core.data.ACell;
import convex.core.data.Blob;
import convex.core.data.Hash;
import convex.core.data.Ref;
import convex.core.store.AStore;
import convex.core.store.MemoryStore;
import convex.core.store.Stores;
import java.lang.reflect.Method;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Callable;

/**
 * The store in which release 0.8.0 looks up what a decoded cell refers to.
 *
 * <p>That release has one such store per thread, a temporary file unless told otherwise; later ones take it as an
 * argument and have no such setter, so it is looked for at run time. It also leaves some refs of large complete
 * messages unresolved although their cells came along, and then asks this store for them: a store that answers from
 * the message itself makes the decoded value whole.
 */
final class CurrentStore {
    private CurrentStore() {}

    private static final Method SET = setter();

    private static Method setter() {
        try {
            Method set = Stores.class.getMethod("setCurrent", AStore.class);
            set.invoke(null, new MemoryStore());
            return set;
        } catch (NoSuchMethodException e) {
            return null;
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    /** Does the work with the given store as the current one; afterwards an empty one is current. */
    static <T> T with(AStore store, Callable<T> work) throws Exception {
        if (SET == null) return work.call();
        SET.invoke(null, store);
        try {
            return work.call();
        } finally {
            SET.invoke(null, new MemoryStore());
        }
    }

    /** Decodes a complete message: a cell, then the cells below it, each after its length. */
    static ACell decodeMessage(byte[] bytes) throws Exception {
        Blob message = Blob.wrap(bytes);
        if (SET == null) return (ACell) CVMEncoder.INSTANCE.decodeMultiCell(message);
        MessageStore store = new MessageStore();
        ACell top = with(store, () -> (ACell) CVMEncoder.INSTANCE.decodeMultiCell(message));
        if (top != null) store.answerFrom(bytes, top);
        return top;
    }

    /** Reads the message when it is first asked for something, which for most messages is never. */
    private static final class MessageStore extends MemoryStore {
        private byte[] message;
        private ACell top;
        private final Map<Hash, ACell> children = new HashMap<>();

        void answerFrom(byte[] bytes, ACell first) {
            message = bytes;
            top = first;
        }

        @Override
        public <T extends ACell> Ref<T> refForHash(Hash hash) {
            if (message != null) {
                byte[] bytes = message;
                message = null;
                readChildren(bytes, top.getEncodingLength());
            }
            ACell child = children.get(hash);
            return child == null ? null : child.getRef();
        }

        private void readChildren(byte[] bytes, int start) {
            try {
                int at = start;
                while (at < bytes.length) {
                    int length = 0;
                    byte digit;
                    do {
                        digit = bytes[at++];
                        length = length << 7 | digit & 0x7f;
                    } while (digit < 0);
                    Blob encoding = Blob.wrap(bytes, at, length);
                    at += length;
                    ACell child = with(this, () -> (ACell) CVMEncoder.INSTANCE.decode(encoding));
                    children.put(child.getHash(), child);
                }
            } catch (Exception e) {
                throw new IllegalStateException("a message that was decoded before cannot be decoded again", e);
            }
        }
    }
}
