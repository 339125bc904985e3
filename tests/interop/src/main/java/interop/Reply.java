// SPDX-License-Identifier: Apache-2.0 OR MIT
package interop;

import java.math.BigDecimal;

/** One JSON object on one line, built field by field in the order of the calls. */
final class Reply {
    private final StringBuilder out = new StringBuilder("{");

    Reply put(String name, String value) {
        name(name);
        quote(out, value);
        return this;
    }

    Reply put(String name, long value) {
        name(name);
        out.append(value);
        return this;
    }

    Reply put(String name, double value) {
        name(name);
        // Plain digits: readers of JSON differ in what they make of an exponent.
        out.append(BigDecimal.valueOf(value).stripTrailingZeros().toPlainString());
        return this;
    }

    Reply put(String name, boolean value) {
        name(name);
        out.append(value);
        return this;
    }

    Reply put(String name, Reply value) {
        name(name);
        out.append(value);
        return this;
    }

    Reply putStrings(String name, Iterable<?> values) {
        name(name);
        out.append('[');
        String comma = "";
        for (Object value : values) {
            out.append(comma);
            quote(out, String.valueOf(value));
            comma = ",";
        }
        out.append(']');
        return this;
    }

    Reply putAll(String name, Iterable<Reply> values) {
        name(name);
        out.append('[');
        String comma = "";
        for (Reply value : values) {
            out.append(comma).append(value);
            comma = ",";
        }
        out.append(']');
        return this;
    }

    private void name(String name) {
        if (out.length() > 1) out.append(',');
        quote(out, name);
        out.append(':');
    }

    private static void quote(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20 || Character.isSurrogate(c) || c == 0x7f) {
                // Lone surrogates have no UTF-8 form; escaping all of them keeps the line valid.
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }

    @Override
    public String toString() {
        return out + "}";
    }
}
