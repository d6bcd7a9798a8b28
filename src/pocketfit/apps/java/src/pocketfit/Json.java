package pocketfit;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON, as far as a bundle needs it: what Pocketfit writes is read, anything else is refused. */
public final class Json {
    private final Object value;

    private Json(Object value) {
        this.value = value;
    }

    public static Json parse(String text) {
        return new Parser(text).whole();
    }

    public boolean isNull() {
        return value == null;
    }

    public boolean isArray() {
        return value instanceof List;
    }

    public boolean bool() {
        return as(Boolean.class);
    }

    public double number() {
        return as(Double.class);
    }

    /** Whole numbers up to 2^53 are exact. */
    public long integer() {
        return (long) number();
    }

    public int small() {
        return (int) integer();
    }

    public String string() {
        return as(String.class);
    }

    @SuppressWarnings("unchecked")
    public List<Json> items() {
        return (List<Json>) as(List.class);
    }

    @SuppressWarnings("unchecked")
    public Map<String, Json> members() {
        return (Map<String, Json>) as(Map.class);
    }

    /** The value of a key that has to be there. */
    public Json at(String key) {
        Json found = members().get(key);
        if (found == null) {
            throw new PocketfitException("the JSON has no " + key);
        }
        return found;
    }

    /** Whether a key is there and is not null. */
    public boolean has(String key) {
        Json found = members().get(key);
        return found != null && !found.isNull();
    }

    private <T> T as(Class<T> kind) {
        if (!kind.isInstance(value)) {
            throw new PocketfitException("the JSON has a value of another kind than expected");
        }
        return kind.cast(value);
    }

    private static final class Parser {
        private static final int DEEPEST = 64;
        private static final String ESCAPES = "\"\\/bfnrt";
        private static final String MEANT = "\"\\/\b\f\n\r\t";

        private final String text;
        private int at;

        Parser(String text) {
            this.text = text;
        }

        Json whole() {
            Json found = new Json(value(0));
            skipSpace();
            if (at != text.length()) {
                throw failure("something stands behind its end");
            }
            return found;
        }

        private PocketfitException failure(String what) {
            return new PocketfitException("not JSON at character " + at + ": " + what);
        }

        private char peek() {
            return at < text.length() ? text.charAt(at) : '\0';
        }

        private void skipSpace() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
                at++;
            }
        }

        private boolean take(char sign) {
            skipSpace();
            if (peek() != sign) {
                return false;
            }
            at++;
            return true;
        }

        private void need(char sign) {
            if (!take(sign)) {
                throw failure("'" + sign + "' was expected");
            }
        }

        private Object value(int depth) {
            if (depth > DEEPEST) {
                throw failure("too deep");
            }
            skipSpace();
            switch (peek()) {
                case '{':
                    return object(depth);
                case '[':
                    return array(depth);
                case '"':
                    return string();
                case 't':
                    return word("true", Boolean.TRUE);
                case 'f':
                    return word("false", Boolean.FALSE);
                case 'n':
                    return word("null", null);
                default:
                    return number();
            }
        }

        private Map<String, Json> object(int depth) {
            Map<String, Json> members = new LinkedHashMap<>();
            need('{');
            if (take('}')) {
                return members;
            }
            do {
                skipSpace();
                String name = string();
                need(':');
                if (members.put(name, new Json(value(depth + 1))) != null) {
                    throw failure("a key is there twice");
                }
            } while (take(','));
            need('}');
            return members;
        }

        private List<Json> array(int depth) {
            List<Json> items = new ArrayList<>();
            need('[');
            if (take(']')) {
                return items;
            }
            do {
                items.add(new Json(value(depth + 1)));
            } while (take(','));
            need(']');
            return items;
        }

        private Object word(String word, Object meaning) {
            if (!text.startsWith(word, at)) {
                throw failure("no such word");
            }
            at += word.length();
            return meaning;
        }

        private Double number() {
            int end = at;
            while (end < text.length() && "+-.0123456789eE".indexOf(text.charAt(end)) >= 0) {
                end++;
            }
            try {
                Double found = Double.valueOf(text.substring(at, end));
                at = end;
                return found;
            } catch (NumberFormatException error) {
                throw failure("no number");
            }
        }

        private String string() {
            StringBuilder found = new StringBuilder();
            need('"');
            while (peek() != '"') {
                if (at >= text.length() || peek() < ' ') {
                    throw failure("a string has no end");
                }
                char sign = text.charAt(at++);
                found.append(sign == '\\' ? escaped() : sign);
            }
            at++;
            return found.toString();
        }

        private char escaped() {
            char name = peek();
            at++;
            if (name == 'u' && at + 4 <= text.length()) {
                at += 4;
                return (char) Integer.parseInt(text.substring(at - 4, at), 16);
            }
            int which = ESCAPES.indexOf(name);
            if (which < 0) {
                throw failure("no such escape");
            }
            return MEANT.charAt(which);
        }
    }
}
