package pocketfit;

/** What an app demands of a bundle, and the key of its models. */
public final class Trust {
    /** Neither signature nor release; nothing is encrypted. */
    public static final Trust NONE = new Trust(null, 0, null);

    final byte[] publicKey;
    final long leastRelease;
    final byte[] modelKey;

    /**
     * @param publicKey 32 bytes, whose owner has to have signed the bundle; null takes an unsigned one too
     * @param leastRelease the bundle's release may not be lower, so that none with known faults is brought back
     * @param modelKey 32 bytes, which its models are encrypted with; null where they are not
     */
    public Trust(byte[] publicKey, long leastRelease, byte[] modelKey) {
        this.publicKey = publicKey;
        this.leastRelease = leastRelease;
        this.modelKey = modelKey;
    }

    /** A key from 64 hexadecimal digits. */
    public static byte[] key(String digits) {
        if (!digits.matches("[0-9a-fA-F]{64}")) {
            throw new PocketfitException("a key has 64 hexadecimal digits");
        }
        byte[] key = new byte[32];
        for (int i = 0; i < key.length; i++) {
            key[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        }
        return key;
    }
}
