package pocketfit.selftest;

import java.util.Arrays;
import pocketfit.AesGcm;
import pocketfit.Ed25519;
import pocketfit.Json;
import pocketfit.Trust;

/** Signatures and encrypted texts, right ones and spoilt ones. */
final class IntegrityVectors {
    private IntegrityVectors() {}

    /** By the platform, where it can, and by the code here. */
    static boolean ed25519(Json test) {
        byte[] key = Trust.key(test.at("public_key").string());
        byte[] signature = hex(test, "signature");
        byte[] message = hex(test, "message");
        boolean valid = test.at("valid").bool();
        return Ed25519.isSigned(key, signature, message) == valid
                && Ed25519.isSignedHere(key, signature, message) == valid;
    }

    static boolean aesGcm(Json test) {
        byte[] key = Trust.key(test.at("key").string());
        byte[] text = AesGcm.open(key, hex(test, "sealed"), hex(test, "bound_to"));
        return Arrays.equals(text, test.has("text") ? hex(test, "text") : null);
    }

    private static byte[] hex(Json test, String name) {
        String digits = test.at(name).string();
        byte[] bytes = new byte[digits.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }
}
