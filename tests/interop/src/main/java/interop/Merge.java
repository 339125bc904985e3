// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import convex.core.cpos.Belief;
import convex.core.cpos.BeliefMerge;
import convex.core.crypto.AKeyPair;
import convex.core.cvm.State;

/** One belief merge, as a peer does it after it has checked the signatures of what came in. */
final class Merge {
    private Merge() {}

    /** Arguments: seed of the merging peer, its time, its belief, the beliefs that came in. */
    static Reply merge(State state, String[] arguments) throws Exception {
        AKeyPair keys = AKeyPair.create(CellText.bytes(arguments[0]));
        long time = Long.parseLong(arguments[1]);
        Belief own = (Belief) CellText.cell(arguments[2]);
        Belief[] received = new Belief[arguments.length - 3];
        for (int i = 0; i < received.length; i++) received[i] = (Belief) CellText.cell(arguments[i + 3]);
        Belief merged = BeliefMerge.create(own, keys, time, state).merge(received);
        Reply reply = new Reply()
            .put("hash", merged.getHash().toHexString())
            .put("changed", !merged.getHash().equals(own.getHash()));
        CellText.putEncoding(reply, "belief", merged);
        return reply;
    }
}
