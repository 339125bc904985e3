// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.crypto.AKeyPair;
import convex.core.crypto.BIP39;
import convex.core.crypto.PFXTools;
import convex.core.crypto.SLIP10;
import convex.core.data.Blob;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.util.Collections;
import java.util.HexFormat;

/** Key stores made and read by the reference, and seeds from words. Texts are UTF-8 in hex; {@code -} is no passphrase. */
final class KeyStores {
    private KeyStores() {}

    /** Makes a store, or adds to one: file, its passphrase, passphrase of the key, seed. */
    static Reply write(String[] arguments) throws Exception {
        File file = new File(arguments[0]);
        char[] passphrase = text(arguments[1]);
        KeyStore store = file.exists() ? PFXTools.loadStore(file, passphrase) : PFXTools.createStore(file, passphrase);
        AKeyPair pair = AKeyPair.create(Blob.fromHex(arguments[3]));
        PFXTools.setKeyPair(store, pair, text(arguments[2]));
        PFXTools.saveStore(store, file, passphrase);
        return new Reply().put("key", pair.getAccountKey().toHexString());
    }

    /** Reads a store: file, its passphrase, passphrase of the key, alias, message. The key signs the message. */
    static Reply read(String[] arguments) throws Exception {
        KeyStore store = PFXTools.loadStore(new File(arguments[0]), text(arguments[1]));
        AKeyPair pair = PFXTools.getKeyPair(store, arguments[3], text(arguments[2]));
        return new Reply()
            .put("aliases", String.join(" ", Collections.list(store.aliases())))
            .put("date", store.getCreationDate(arguments[3]).getTime())
            .put("key", pair.getAccountKey().toHexString())
            .put("signature", pair.sign(Blob.fromHex(arguments[4])).toHexString())
            .put("seed", pair.getSeed().toHexString());
    }

    /** The seed of words: path, passphrase, words. */
    static Reply derive(String[] arguments) throws Exception {
        char[] passphrase = text(arguments[1]);
        Blob seed = BIP39.getSeed(new String(text(arguments[2])), passphrase == null ? "" : new String(passphrase));
        AKeyPair pair = SLIP10.deriveKeyPair(seed, arguments[0]);
        return new Reply().put("seed", pair.getSeed().toHexString()).put("key", pair.getAccountKey().toHexString());
    }

    private static char[] text(String hex) {
        if (hex.equals("-")) return null;
        return new String(HexFormat.of().parseHex(hex), StandardCharsets.UTF_8).toCharArray();
    }
}
