// A bundle that `pocketfit bundle pack` wrote as one file: a zip archive in which nothing is compressed.
#pragma once

#include <set>

#include "pocketfit/bundle.hpp"

namespace pocketfit {

class Archive {
public:
    struct Entry {
        std::string name;
        std::string_view bytes;
    };

    explicit Archive(std::string_view data) : data_(data) {
        static constexpr size_t end_bytes = 22, entry_bytes = 46;
        if (data.size() < end_bytes || number(data.size() - end_bytes, 4) != 0x06054b50) fail();
        size_t count = number(data.size() - end_bytes + 10, 2), at = number(data.size() - end_bytes + 16, 4), total = 0;
        std::set<std::string> names;
        for (size_t i = 0; i < count; i++) {
            if (number(at, 4) != 0x02014b50) fail();
            Entry entry = entry_at(at);
            at += entry_bytes + number(at + 28, 2) + number(at + 30, 2) + number(at + 32, 2);
            if (!stays_inside(entry.name))
                throw Error("the archive has " + entry.name + ", which leads out of the bundle");
            if (!names.insert(entry.name).second) throw Error("the archive has " + entry.name + " twice");
            total += entry.bytes.size();
            entries_.push_back(std::move(entry));
        }
        if (total > data.size()) throw Error("the archive has files that overlap");
    }

    const std::vector<Entry>& entries() const { return entries_; }

private:
    [[noreturn]] static void fail() { throw Error("this is no archive of a bundle, or a damaged one"); }

    std::string_view part(size_t at, size_t count) const {
        if (at > data_.size() || count > data_.size() - at) fail();
        return data_.substr(at, count);
    }

    // Little-endian.
    size_t number(size_t at, size_t count) const {
        std::string_view bytes = part(at, count);
        size_t value = 0;
        for (size_t i = count; i > 0; i--) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
        return value;
    }

    Entry entry_at(size_t at) const {
        static constexpr size_t entry_bytes = 46, local_bytes = 30;
        Entry entry;
        entry.name = part(at + entry_bytes, number(at + 28, 2));
        size_t flags = number(at + 8, 2), method = number(at + 10, 2), size = number(at + 24, 4),
               local = number(at + 42, 4);
        if (method != 0 || (flags & 1) != 0 || size != number(at + 20, 4))
            throw Error("the archive has " + entry.name + " compressed; pocketfit bundle pack compresses nothing");
        if (number(local, 4) != 0x04034b50) fail();
        entry.bytes = part(local + local_bytes + number(local + 26, 2) + number(local + 28, 2), size);
        return entry;
    }

    std::string_view data_;
    std::vector<Entry> entries_;
};

// Writes the bundle into a folder that is not there yet, once everything in it was checked.
inline Bundle unpack(const std::filesystem::path& file, const std::filesystem::path& folder, const Trust& trust = {}) {
    namespace fs = std::filesystem;
    if (fs::exists(folder)) throw Error(folder.string() + " is there already");
    std::string data = read_file(file);
    Archive archive(data);
    fs::path building = folder.string() + ".partial";
    fs::remove_all(building);
    try {
        for (const Archive::Entry& entry : archive.entries()) {
            fs::create_directories((building / entry.name).parent_path());
            std::ofstream stream(building / entry.name, std::ios::binary);
            if (!stream.write(entry.bytes.data(), static_cast<std::streamsize>(entry.bytes.size())).flush())
                throw Error(entry.name + " cannot be written");
        }
        Bundle::open(building, trust);
        fs::rename(building, folder);
    } catch (...) {
        fs::remove_all(building);
        throw;
    }
    return Bundle::open(folder, trust);
}

}  // namespace pocketfit
