package pocketfit;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;

/**
 * Verification of Ed25519 signatures after RFC 8032, section 5.1.
 *
 * <p>Java has it since 15 and Android since API 33; below that it is computed here. Everything is public, so nothing
 * has to take the same time for all numbers. There is no signing.
 */
public final class Ed25519 {
    private static final BigInteger TWO = BigInteger.valueOf(2);
    private static final BigInteger P = TWO.pow(255).subtract(BigInteger.valueOf(19));
    private static final BigInteger ORDER = TWO.pow(252).add(new BigInteger("27742317777372353535851937790883648493"));
    private static final BigInteger D =
            BigInteger.valueOf(-121665).multiply(BigInteger.valueOf(121666).modInverse(P)).mod(P);
    private static final BigInteger ROOT_OF_MINUS_ONE = TWO.modPow(P.shiftRight(2), P);
    /** What stands before a public key in its X.509 form, RFC 8410. */
    private static final byte[] PREFIX = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

    private Ed25519() {}

    /** Whether the owner of the key has signed the message. */
    public static boolean isSigned(byte[] publicKey, byte[] signature, byte[] message) {
        // Java 17 takes a signature with something behind it.
        if (publicKey.length != 32 || signature.length != 64) {
            return false;
        }
        Signature platform = platform();
        return platform == null ? isSignedHere(publicKey, signature, message)
                                : isSignedBy(platform, publicKey, signature, message);
    }

    /** The same, computed here. */
    public static boolean isSignedHere(byte[] publicKey, byte[] signature, byte[] message) {
        if (publicKey.length != 32 || signature.length != 64) {
            return false;
        }
        byte[] r = Arrays.copyOf(signature, 32);
        BigInteger s = number(Arrays.copyOfRange(signature, 32, 64));
        Point key = Point.decoded(publicKey);
        if (key == null || s.compareTo(ORDER) >= 0) {
            return false;
        }
        MessageDigest hash = Bundle.digest("SHA-512");
        hash.update(r);
        hash.update(publicKey);
        BigInteger h = number(hash.digest(message)).mod(ORDER);
        Point found = Point.base().times(s).plus(key.negated().times(h));
        return Arrays.equals(found.encoded(), r);
    }

    private static Signature platform() {
        try {
            return Signature.getInstance("Ed25519");
        } catch (NoSuchAlgorithmException missing) {
            return null;
        }
    }

    private static boolean isSignedBy(Signature platform, byte[] publicKey, byte[] signature, byte[] message) {
        byte[] encoded = Arrays.copyOf(PREFIX, PREFIX.length + publicKey.length);
        System.arraycopy(publicKey, 0, encoded, PREFIX.length, publicKey.length);
        try {
            PublicKey key = KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
            platform.initVerify(key);
            platform.update(message);
            return platform.verify(signature);
        } catch (GeneralSecurityException refused) {
            // Some have the algorithm and not its keys; what is wrong with the signature comes out here as well.
            return isSignedHere(publicKey, signature, message);
        }
    }

    /** A number whose lowest byte is the first. */
    private static BigInteger number(byte[] bytes) {
        byte[] turned = new byte[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            turned[i] = bytes[bytes.length - 1 - i];
        }
        return new BigInteger(1, turned);
    }

    /** A point of -x^2 + y^2 = 1 + d x^2 y^2: x = X / Z, y = Y / Z and x y = T / Z. */
    private static final class Point {
        private final BigInteger x;
        private final BigInteger y;
        private final BigInteger z;
        private final BigInteger t;

        Point(BigInteger x, BigInteger y, BigInteger z, BigInteger t) {
            this.x = x.mod(P);
            this.y = y.mod(P);
            this.z = z.mod(P);
            this.t = t.mod(P);
        }

        static Point base() {
            byte[] bytes = new byte[32];
            Arrays.fill(bytes, (byte) 0x66);
            bytes[0] = 0x58;
            return decoded(bytes);
        }

        /** A point from its 32 bytes; null where there is no such point. */
        static Point decoded(byte[] bytes) {
            BigInteger y = number(bytes).clearBit(255);
            if (y.compareTo(P) >= 0) {
                return null;
            }
            BigInteger square = y.multiply(y);
            BigInteger ratio = square.subtract(BigInteger.ONE)
                                       .multiply(D.multiply(square).add(BigInteger.ONE).modInverse(P))
                                       .mod(P);
            BigInteger x = ratio.modPow(P.add(BigInteger.valueOf(3)).shiftRight(3), P);
            if (!x.multiply(x).mod(P).equals(ratio)) {
                x = x.multiply(ROOT_OF_MINUS_ONE).mod(P);
            }
            boolean odd = bytes[31] < 0;
            if (!x.multiply(x).mod(P).equals(ratio) || x.signum() == 0 && odd) {
                return null;
            }
            if (x.testBit(0) != odd) {
                x = P.subtract(x);
            }
            return new Point(x, y, BigInteger.ONE, x.multiply(y));
        }

        byte[] encoded() {
            BigInteger scale = z.modInverse(P);
            BigInteger coordinate = y.multiply(scale).mod(P);
            byte[] bytes = new byte[32];
            for (int i = 0; i < 32; i++) {
                bytes[i] = coordinate.shiftRight(8 * i).byteValue();
            }
            if (x.multiply(scale).mod(P).testBit(0)) {
                bytes[31] |= (byte) 0x80;
            }
            return bytes;
        }

        Point negated() {
            return new Point(x.negate(), y, z, t.negate());
        }

        Point plus(Point other) {
            BigInteger a = y.subtract(x).multiply(other.y.subtract(other.x));
            BigInteger b = y.add(x).multiply(other.y.add(other.x));
            BigInteger c = t.multiply(other.t).mod(P).multiply(D).shiftLeft(1);
            BigInteger d = z.multiply(other.z).shiftLeft(1);
            BigInteger e = b.subtract(a).mod(P);
            BigInteger f = d.subtract(c).mod(P);
            BigInteger g = d.add(c).mod(P);
            BigInteger h = b.add(a).mod(P);
            return new Point(e.multiply(f), g.multiply(h), f.multiply(g), e.multiply(h));
        }

        Point times(BigInteger factor) {
            Point result = new Point(BigInteger.ZERO, BigInteger.ONE, BigInteger.ONE, BigInteger.ZERO);
            for (int at = factor.bitLength() - 1; at >= 0; at--) {
                result = result.plus(result);
                if (factor.testBit(at)) {
                    result = result.plus(this);
                }
            }
            return result;
        }
    }
}
