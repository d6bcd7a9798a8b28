package pocketfit.android

import android.content.Context
import android.content.res.AssetManager
import java.io.File
import java.io.FileNotFoundException
import java.security.DigestInputStream
import pocketfit.Bundle
import pocketfit.Json
import pocketfit.PocketfitException

/**
 * The bundle of an app's assets as files, because models are mapped into memory and runtimes open them by name.
 *
 * Copied once, into a folder named by the hash of manifest and signature: another bundle in an update takes another
 * folder, and the one before is removed. [Bundle] checks every file when it is opened.
 */
class AssetFolder(
    private val context: Context,
    private val name: String = "pocketfit",
) {
    private val assets: AssetManager = context.assets

    /** The folder of the bundle, which is copied there if it is not yet. */
    fun bundle(): File {
        val home = File(context.noBackupFilesDir, name)
        val folder = File(home, hash())
        if (!folder.isDirectory) {
            home.deleteRecursively()
            copy(File(home, "new"), folder)
        }
        return folder
    }

    /** The text of policy.json beside the bundle; null where there is none. */
    fun policy(): String? = optional("policy.json")?.decodeToString()

    private fun hash(): String {
        val digest = Bundle.sha256()
        assets.open("$name/bundle/$MANIFEST").use { DigestInputStream(it, digest).readBytes() }
        optional("bundle/$SIGNATURE")?.let(digest::update)
        return Bundle.hex(digest)
    }

    /** Null where there is no such file. */
    private fun optional(file: String): ByteArray? =
        try {
            assets.open("$name/$file").use { it.readBytes() }
        } catch (_: FileNotFoundException) {
            null
        }

    private fun copy(
        unfinished: File,
        folder: File,
    ) {
        copy(MANIFEST, unfinished)
        optional("bundle/$SIGNATURE")?.let(File(unfinished, SIGNATURE)::writeBytes)
        val manifest = Json.parse(Bundle.text(File(unfinished, MANIFEST)))
        manifest
            .at("files")
            .members()
            .keys
            .forEach { copy(it, unfinished) }
        if (!unfinished.renameTo(folder)) {
            throw PocketfitException("$folder cannot be written; is there space?")
        }
    }

    private fun copy(
        file: String,
        folder: File,
    ) {
        val target = File(folder, file)
        // The manifest is not checked yet.
        if (!target.canonicalPath.startsWith(folder.canonicalPath + File.separator)) {
            throw PocketfitException("the manifest names $file, which leads out of the bundle")
        }
        target.parentFile?.mkdirs()
        assets.open("$name/bundle/$file").use { from -> target.outputStream().use { from.copyTo(it) } }
    }

    private companion object {
        const val MANIFEST = "manifest.json"
        const val SIGNATURE = "manifest.sig"
    }
}
