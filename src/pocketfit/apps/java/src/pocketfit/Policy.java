package pocketfit;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What policy.json says; docs/policy.md defines it. */
public final class Policy {
    private static final int MOST_RULES = 62;

    public final List<Variant> variants = new ArrayList<>();
    final Rule[] rules;
    final Choice otherwise;
    final long dwellMs;
    boolean finishPending = true;
    long drainMs = 500;
    long warmupFrames = 1;
    boolean resetState;

    /** One way to run the model. */
    public static final class Variant {
        public final String name;
        /** An app takes the first whose runtime it has. */
        public final List<ArtifactRef> artifacts = new ArrayList<>();
        /** Null is the CPU. */
        public final String delegate;
        /** 0 leaves it to the app. */
        public final int threads;

        Variant(Json json) {
            name = json.at("name").string();
            for (Json artifact : json.at("artifacts").items()) {
                artifacts.add(new ArtifactRef(artifact));
            }
            delegate = json.has("delegate") ? json.at("delegate").string() : null;
            threads = Contract.number(json, "threads", 0);
        }
    }

    /** An artifact of a bundle. */
    public static final class ArtifactRef {
        public final String runtime;
        public final String precision;
        /** Folder of its bundle, below the one that ships the policy. */
        public final String bundle;

        ArtifactRef(Json json) {
            runtime = json.at("runtime").string();
            precision = json.at("precision").string();
            bundle = json.has("bundle") ? json.at("bundle").string() : ".";
        }
    }

    static final class Choice {
        final int variant;
        final long every;
        final long onMs;
        final long periodMs;
        /** Below 0 takes the policy's. */
        final long dwellMs;

        Choice(Json json, int variant) {
            this.variant = variant;
            dwellMs = number(json, "dwell_ms", -1);
            Json run = json.has("run") ? json.at("run") : Json.parse("{}");
            every = number(run, "every", 1);
            onMs = number(run, "on_ms", 1);
            periodMs = number(run, "period_ms", 1);
            if (every < 1 || periodMs < 1) {
                throw new PocketfitException("run.every and run.period_ms have to be 1 or more");
            }
        }

        boolean same(Choice other) {
            return variant == other.variant && every == other.every && onMs == other.onMs && periodMs == other.periodMs;
        }
    }

    static final class Condition {
        final Reading.Sensor sensor;
        final boolean bounded;
        final boolean unknown;
        final String[] anyOf;
        final long enterLow;
        final long enterHigh;
        final long stayLow;
        final long stayHigh;

        Condition(String name, Json json) {
            sensor = sensor(name);
            boolean flag = json.has("equals");
            bounded = json.has("at_least") || json.has("at_most") || flag;
            unknown = Contract.flag(json, "unknown", false);
            long wanted = flag && json.at("equals").bool() ? 1 : 0;
            enterLow = flag ? wanted : number(json, "at_least", Long.MIN_VALUE);
            enterHigh = flag ? wanted : number(json, "at_most", Long.MAX_VALUE);
            stayLow = number(json, "leave_below", enterLow);
            stayHigh = number(json, "leave_above", enterHigh);
            List<Json> words = json.has("any_of") ? json.at("any_of").items() : new ArrayList<Json>();
            anyOf = new String[words.size()];
            for (int i = 0; i < anyOf.length; i++) {
                anyOf[i] = words.get(i).string();
            }
        }

        boolean holds(Reading reading, boolean entered) {
            if (sensor == Reading.Sensor.SCENE) {
                return reading.scene == null ? unknown : isAnyOf(reading.scene);
            }
            if (!reading.knows(sensor)) {
                return unknown;
            }
            long value = reading.value(sensor);
            return bounded && value >= (entered ? stayLow : enterLow) && value <= (entered ? stayHigh : enterHigh);
        }

        private boolean isAnyOf(String scene) {
            for (String word : anyOf) {
                if (word.equals(scene)) {
                    return true;
                }
            }
            return false;
        }

        private static Reading.Sensor sensor(String name) {
            try {
                return Reading.Sensor.valueOf(name.toUpperCase(Locale.ROOT));
            } catch (IllegalArgumentException error) {
                throw new PocketfitException("the policy looks at " + name + ", which is no sensor");
            }
        }
    }

    static final class Rule {
        final String name;
        final Condition[] when;
        final Choice then;
        final boolean urgent;

        Rule(Json json, Choice then) {
            this.then = then;
            name = json.at("name").string();
            urgent = Contract.flag(json, "urgent", false);
            List<Condition> conditions = new ArrayList<>();
            for (Map.Entry<String, Json> one : json.at("when").members().entrySet()) {
                conditions.add(new Condition(one.getKey(), one.getValue()));
            }
            when = conditions.toArray(new Condition[0]);
        }

        boolean holds(Reading reading, boolean entered) {
            for (Condition condition : when) {
                if (!condition.holds(reading, entered)) {
                    return false;
                }
            }
            return true;
        }
    }

    private Policy(Json json) {
        for (Json variant : json.at("variants").items()) {
            variants.add(new Variant(variant));
        }
        otherwise = choice(json.at("default"));
        dwellMs = number(json, "dwell_ms", 10_000);
        List<Json> given = json.has("rules") ? json.at("rules").items() : new ArrayList<Json>();
        if (given.size() > MOST_RULES) {
            throw new PocketfitException("the policy has more than 62 rules");
        }
        rules = new Rule[given.size()];
        for (int i = 0; i < rules.length; i++) {
            rules[i] = new Rule(given.get(i), choice(given.get(i).at("then")));
        }
        if (json.has("handover")) {
            readHandover(json.at("handover"));
        }
    }

    public static Policy fromJson(Json json) {
        if (!json.has("format") || !json.at("format").string().equals("pocketfit-policy")) {
            throw new PocketfitException("the policy does not say format pocketfit-policy");
        }
        if (json.at("version").integer() != 1) {
            throw new PocketfitException("the policy has another version than 1");
        }
        return new Policy(json);
    }

    /** Name of the rule at that index of a decision. */
    public String ruleName(int index) {
        return index < rules.length ? rules[index].name : "default";
    }

    Choice choice(int index) {
        return index < rules.length ? rules[index].then : otherwise;
    }

    private Choice choice(Json json) {
        String name = json.at("use").string();
        for (int i = 0; i < variants.size(); i++) {
            if (variants.get(i).name.equals(name)) {
                return new Choice(json, i);
            }
        }
        throw new PocketfitException("the policy uses the variant " + name + ", which it does not have");
    }

    private void readHandover(Json json) {
        finishPending = !json.has("pending") || json.at("pending").string().equals("finish");
        drainMs = number(json, "drain_ms", drainMs);
        warmupFrames = number(json, "warmup_frames", warmupFrames);
        resetState = json.has("state") && json.at("state").string().equals("reset");
    }

    private static long number(Json json, String key, long otherwise) {
        return json.has(key) ? json.at(key).integer() : otherwise;
    }
}
