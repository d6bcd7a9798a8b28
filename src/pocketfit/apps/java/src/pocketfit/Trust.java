package pocketfit;

import java.io.File;
import java.io.IOException;

/** What an app demands of a bundle, and the key of its models. */
public final class Trust {
    /** Neither signature nor release; nothing is encrypted. */
    public static final Trust NONE = new Trust(null, 0, null);

    private final byte[] publicKey;
    private final long leastRelease;
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

    void checkSignature(File folder, byte[] manifest) throws IOException {
        File file = new File(folder, "manifest.sig");
        if (publicKey == null) {
            return;
        }
        if (!file.exists()) {
            throw new PocketfitException(folder + " is not signed");
        }
        if (!Ed25519.isSigned(publicKey, Bundle.bytes(file), manifest)) {
            throw new PocketfitException("the signature of " + folder + " is not one of its manifest by the app's key");
        }
    }

    void checkRelease(long release) {
        if (release < leastRelease) {
            throw new PocketfitException("the bundle is release " + release + ", older than is allowed");
        }
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
