package pocketfit;

/** For one frame. The engine hands out the same object every time. */
public final class Decision {
    public enum Action { INFER, SKIP, WAIT, WARM_UP }

    public enum Command { NONE, DRAIN, SWAP }

    /** Index of the rule that is followed; the number of rules stands for the default. */
    public int rule;
    /** Index of the variant. */
    public int variant;
    public Action action;
    public Command command;
    public boolean dropPending;
    public boolean reset;
}
