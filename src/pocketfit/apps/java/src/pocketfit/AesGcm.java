package pocketfit;

import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/** Decryption by AES-256 in Galois counter mode: the nonce, the ciphertext and the tag in one array. */
public final class AesGcm {
    private static final int NONCE_BYTES = 12;
    private static final int TAG_BYTES = 16;

    private AesGcm() {}

    /** What was encrypted; null where key, nonce, tag or what the text is bound to is another one. */
    public static byte[] open(byte[] key, byte[] sealed, byte[] boundTo) {
        if (sealed.length < NONCE_BYTES + TAG_BYTES) {
            return null;
        }
        try {
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            byte[] nonce = Arrays.copyOf(sealed, NONCE_BYTES);
            cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(8 * TAG_BYTES, nonce));
            cipher.updateAAD(boundTo);
            return cipher.doFinal(sealed, NONCE_BYTES, sealed.length - NONCE_BYTES);
        } catch (AEADBadTagException spoilt) {
            return null;
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("every Java and every Android has AES in this mode", error);
        }
    }
}
