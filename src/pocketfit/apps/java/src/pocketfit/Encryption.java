package pocketfit;

import java.nio.charset.StandardCharsets;

/** Which files of a bundle lie encrypted, and how they are opened; docs/bundle.md defines it. */
final class Encryption {
    private final Json entry;
    private final byte[] key;

    /** The key is null where the app has none. */
    Encryption(Json entry, byte[] key) {
        this.entry = entry;
        this.key = key;
    }

    /** What the content of a file was before it was encrypted; the content itself where it was not. */
    byte[] opened(String file, byte[] content) {
        if (!isListed(file)) {
            return content;
        }
        if (!entry.at("algorithm").string().equals("AES-256-GCM")) {
            throw new PocketfitException(file + " is encrypted by an unknown method");
        }
        if (key == null) {
            throw new PocketfitException(file + " is encrypted, and there is no key");
        }
        byte[] boundTo = (entry.at("id").string() + "/" + file).getBytes(StandardCharsets.UTF_8);
        byte[] plain = AesGcm.open(key, content, boundTo);
        if (plain == null) {
            throw new PocketfitException(
                    file + " cannot be decrypted: the key is another one, or the file belongs elsewhere");
        }
        return plain;
    }

    private boolean isListed(String file) {
        for (Json one : entry.at("files").items()) {
            if (one.string().equals(file)) {
                return true;
            }
        }
        return false;
    }
}
