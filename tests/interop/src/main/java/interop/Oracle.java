// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** The line server: one request a line in, one JSON object a line out, until end of input or {@code quit}. */
public final class Oracle {
    /** Exit code after a request that exceeded its time: a loop in the library cannot be stopped from outside. */
    private static final int EXIT_TIMEOUT = 3;

    private Oracle() {}

    public static void main(String[] args) throws Exception {
        PrintStream replies = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Watchdog watchdog = new Watchdog(Long.getLong("oracle.timeout", 120), replies);
        Commands commands = new Commands();

        String line;
        while ((line = requests.readLine()) != null) {
            if (line.isBlank() || line.startsWith("#")) continue;
            if (line.strip().equals("quit")) break;
            if (!line.startsWith("bench ")) watchdog.arm();
            String reply = answer(commands, line);
            watchdog.disarm();
            replies.println(reply);
            replies.flush();
        }
        // Peers that were started here have threads that would go on.
        Runtime.getRuntime().halt(0);
    }

    private static String answer(Commands commands, String line) {
        try {
            return commands.answer(line).toString();
        } catch (Throwable fault) {
            // Whatever the library throws, errors of the machine included, is an answer about the library.
            return failure(fault);
        }
    }

    private static String failure(Throwable fault) {
        Reply reply = new Reply().put("fail", fault.getClass().getSimpleName());
        String message = fault.getMessage();
        if (message != null) reply.put("why", message);
        if (fault instanceof IllegalArgumentException || fault instanceof StackOverflowError) return reply.toString();
        if (fault.getCause() != null) reply.put("cause", fault.getCause().toString());
        StackTraceElement[] trace = fault.getStackTrace();
        if (trace.length > 0) reply.put("at", trace[0].toString());
        return reply.toString();
    }

    /** Ends the process, with a reply, when one request takes too long. */
    private static final class Watchdog implements Runnable {
        private final long limitNanos;
        private final PrintStream replies;
        private long deadline;
        private boolean armed;

        Watchdog(long seconds, PrintStream replies) {
            this.limitNanos = seconds * 1_000_000_000L;
            this.replies = replies;
            Thread thread = new Thread(this, "watchdog");
            thread.setDaemon(true);
            thread.start();
        }

        synchronized void arm() {
            deadline = System.nanoTime() + limitNanos;
            armed = true;
            notifyAll();
        }

        synchronized void disarm() {
            armed = false;
        }

        @Override
        public synchronized void run() {
            try {
                while (true) {
                    long left = deadline - System.nanoTime();
                    if (!armed) {
                        wait();
                    } else if (left > 0) {
                        wait(left / 1_000_000 + 1);
                    } else {
                        replies.println(new Reply().put("fail", "Timeout").put("seconds", limitNanos / 1_000_000_000L));
                        replies.flush();
                        Runtime.getRuntime().halt(EXIT_TIMEOUT);
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
