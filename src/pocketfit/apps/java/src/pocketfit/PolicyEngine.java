package pocketfit;

/** Decides, frame by frame, which variant runs and whether the frame is inferred; nothing is allocated. */
public final class PolicyEngine {
    private enum Phase { STEADY, DRAINING, LOADING, WARMING }

    private final Policy policy;
    private final Decision decision = new Decision();
    private long now;
    private long since;
    private long anchor;
    private long latched;
    private int rule = -1;
    private int variant = -1;
    private Phase phase = Phase.STEADY;
    private long warmUps;
    private long frames;

    public PolicyEngine(Policy policy) {
        this.policy = policy;
    }

    /** Decides for one frame; docs/policy.md numbers the steps. */
    public Decision step(Reading reading) {
        now = Math.max(now, reading.timeMs);
        latch(reading);
        int wanted = latched == 0 ? policy.rules.length : Long.numberOfTrailingZeros(latched);
        if (phase == Phase.STEADY && wanted != rule && mayLeave(wanted)) {
            return choose(wanted, reading);
        }
        return goOn(reading);
    }

    private void latch(Reading reading) {
        long bits = 0;
        for (int i = 0; i < policy.rules.length; i++) {
            if (policy.rules[i].holds(reading, (latched >> i & 1) != 0)) {
                bits |= 1L << i;
            }
        }
        latched = bits;
    }

    private boolean same(int wanted) {
        return rule >= 0 && policy.choice(rule).same(policy.choice(wanted));
    }

    private boolean mayLeave(int wanted) {
        if (rule < 0 || same(wanted) || (wanted < policy.rules.length && policy.rules[wanted].urgent)) {
            return true;
        }
        long own = policy.choice(rule).dwellMs;
        return now - since >= (own < 0 ? policy.dwellMs : own);
    }

    private Decision choose(int wanted, Reading reading) {
        boolean nothingChanges = same(wanted);
        rule = wanted;
        if (nothingChanges) {
            return goOn(reading);
        }
        since = now;
        anchor = now;
        frames = 0;
        if (variant == policy.choice(rule).variant) {
            return goOn(reading);
        }
        if (variant >= 0 && reading.inFlight > 0 && policy.finishPending) {
            phase = Phase.DRAINING;
            return decide(Decision.Action.WAIT, Decision.Command.DRAIN);
        }
        return swap(reading);
    }

    private Decision goOn(Reading reading) {
        if (phase == Phase.DRAINING) {
            boolean wait = reading.inFlight > 0 && now - since < policy.drainMs;
            return wait ? decide(Decision.Action.WAIT, Decision.Command.NONE) : swap(reading);
        }
        if (phase == Phase.LOADING) {
            if (!reading.ready) {
                return decide(Decision.Action.WAIT, Decision.Command.NONE);
            }
            phase = Phase.WARMING;
            warmUps = policy.warmupFrames;
        }
        if (phase == Phase.WARMING) {
            if (warmUps-- > 0) {
                return decide(Decision.Action.WARM_UP, Decision.Command.NONE);
            }
            phase = Phase.STEADY;
            anchor = now;
            frames = 0;
        }
        return decideByDuty();
    }

    private Decision swap(Reading reading) {
        boolean drop = variant >= 0 && reading.inFlight > 0;
        phase = Phase.LOADING;
        variant = policy.choice(rule).variant;
        decide(Decision.Action.WAIT, Decision.Command.SWAP);
        decision.dropPending = drop;
        decision.reset = policy.resetState;
        return decision;
    }

    private Decision decideByDuty() {
        Policy.Choice choice = policy.choice(rule);
        if ((now - anchor) % choice.periodMs >= choice.onMs) {
            return decide(Decision.Action.SKIP, Decision.Command.NONE);
        }
        Decision.Action action = frames == 0 ? Decision.Action.INFER : Decision.Action.SKIP;
        frames = (frames + 1) % choice.every;
        return decide(action, Decision.Command.NONE);
    }

    private Decision decide(Decision.Action action, Decision.Command command) {
        decision.rule = rule;
        decision.variant = variant;
        decision.action = action;
        decision.command = command;
        decision.dropPending = false;
        decision.reset = false;
        return decision;
    }
}
