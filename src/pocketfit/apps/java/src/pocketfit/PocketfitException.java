package pocketfit;

/** Everything that is refused: a file, an image or an output that is not what it has to be. */
public final class PocketfitException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public PocketfitException(String message) {
        super(message);
    }
}
