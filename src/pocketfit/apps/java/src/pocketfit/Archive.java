package pocketfit;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.HashSet;
import java.util.Set;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** A bundle that {@code pocketfit bundle pack} wrote as one file: a zip archive in which nothing is compressed. */
public final class Archive {
    private Archive() {}

    /** Writes the bundle into a folder that is not there yet, once everything in it was checked. */
    public static Bundle unpack(File file, File folder, Trust trust) throws IOException {
        if (folder.exists()) {
            throw new PocketfitException(folder + " is there already");
        }
        File building = new File(folder.getPath() + ".partial");
        delete(building);
        try {
            write(file, building);
            Bundle.open(building, trust);
            if (!building.renameTo(folder)) {
                throw new PocketfitException(folder + " cannot be written");
            }
        } finally {
            delete(building);
        }
        return Bundle.open(folder, trust);
    }

    private static void write(File file, File folder) throws IOException {
        Set<String> names = new HashSet<>();
        try (ZipInputStream archive = new ZipInputStream(new FileInputStream(file))) {
            for (ZipEntry entry = archive.getNextEntry(); entry != null; entry = archive.getNextEntry()) {
                check(entry, names);
                copy(archive, new File(folder, entry.getName()));
            }
        }
        if (names.isEmpty()) {
            throw new PocketfitException("this is no archive of a bundle, or a damaged one");
        }
    }

    /** What is not compressed cannot be larger than the archive. */
    private static void check(ZipEntry entry, Set<String> names) {
        String name = entry.getName();
        if (!Bundle.staysInside(name)) {
            throw new PocketfitException("the archive has " + name + ", which leads out of the bundle");
        }
        if (entry.getMethod() != ZipEntry.STORED) {
            throw new PocketfitException(
                    "the archive has " + name + " compressed; pocketfit bundle pack compresses nothing");
        }
        if (!names.add(name)) {
            throw new PocketfitException("the archive has " + name + " twice");
        }
    }

    private static void copy(InputStream from, File to) throws IOException {
        File folder = to.getParentFile();
        if (!folder.isDirectory() && !folder.mkdirs()) {
            throw new PocketfitException(folder + " cannot be written");
        }
        byte[] buffer = new byte[65_536];
        try (OutputStream stream = new FileOutputStream(to)) {
            for (int count = from.read(buffer); count >= 0; count = from.read(buffer)) {
                stream.write(buffer, 0, count);
            }
        }
    }

    private static void delete(File file) {
        File[] children = file.listFiles();
        if (children != null) {
            for (File child : children) {
                delete(child);
            }
        }
        file.delete();
    }
}
