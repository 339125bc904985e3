// SPDX-License-Identifier: Apache-2.0 OR MIT
package reference;

import convex.core.crypto.AKeyPair;
import convex.core.cvm.Keywords;
import convex.core.cvm.State;
import convex.core.data.Blob;
import convex.core.data.Format;
import convex.core.data.Keyword;
import convex.etch.EtchStore;
import convex.peer.API;
import convex.peer.Server;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;

/** Starts one peer on a state, says so, and stops it when its input ends. Arguments: state file, seed in hex, store file. */
public final class Launch {
    private Launch() {}

    public static void main(String[] arguments) throws Exception {
        Blob bytes = Blob.wrap(Files.readAllBytes(Path.of(arguments[0])));
        State state = (State) (Object) Format.decodeMultiCell(bytes);
        HashMap<Keyword, Object> config = new HashMap<>();
        config.put(Keywords.STATE, state);
        config.put(Keywords.KEYPAIR, AKeyPair.create(Blob.fromHex(arguments[1]).getBytes()));
        config.put(Keywords.STORE, EtchStore.create(new File(arguments[2])));
        config.put(Keywords.PORT, 0);
        Server server = API.launchPeer(config);
        System.out.println("READY " + server.getPort());
        System.out.flush();
        while (System.in.read() >= 0) {}
        server.close();
        System.exit(0);
    }
}
