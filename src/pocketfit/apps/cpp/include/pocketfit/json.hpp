// JSON, as far as a bundle needs it: what Pocketfit writes is read, anything else is refused.
#pragma once

#include <cstdint>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pocketfit {

// Everything that is refused: a file, an image or an output that is not what it has to be.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class Json {
public:
    enum class Kind { null, boolean, number, string, array, object };

    static Json parse(std::string_view text);

    bool is_null() const { return kind_ == Kind::null; }
    bool is_array() const { return kind_ == Kind::array; }
    bool boolean() const { return expect(Kind::boolean), number_ != 0; }
    double number() const { return expect(Kind::number), number_; }
    // Whole numbers up to 2^53 are exact.
    int64_t integer() const { return static_cast<int64_t>(number()); }
    const std::string& string() const { return expect(Kind::string), string_; }
    const std::vector<Json>& items() const { return expect(Kind::array), items_; }
    const std::vector<std::pair<std::string, Json>>& members() const { return expect(Kind::object), members_; }

    // The value of a key; null where it is missing.
    const Json* find(std::string_view key) const {
        for (const auto& [name, value] : members())
            if (name == key) return &value;
        return nullptr;
    }

    // The value of a key that has to be there.
    const Json& at(std::string_view key) const {
        if (const Json* value = find(key)) return *value;
        throw Error("the JSON has no " + std::string(key));
    }

    // Whether a key is there and is not null.
    bool has(std::string_view key) const {
        const Json* value = find(key);
        return value != nullptr && !value->is_null();
    }

private:
    friend class JsonParser;

    void expect(Kind kind) const {
        if (kind_ != kind) throw Error("the JSON has a value of another kind than expected");
    }

    Kind kind_ = Kind::null;
    double number_ = 0;
    std::string string_;
    std::vector<Json> items_;
    std::vector<std::pair<std::string, Json>> members_;
};

class JsonParser {
public:
    explicit JsonParser(std::string_view text) : text_(text) {}

    Json whole() {
        Json value = parse_value(0);
        skip_space();
        if (at_ != text_.size()) fail("something stands behind its end");
        return value;
    }

private:
    static constexpr int deepest = 64;

    [[noreturn]] void fail(const char* what) const {
        throw Error("not JSON at byte " + std::to_string(at_) + ": " + what);
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void skip_space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) at_++;
    }

    bool take(char sign) {
        skip_space();
        if (peek() != sign) return false;
        at_++;
        return true;
    }

    void need(char sign) {
        if (!take(sign)) fail("another sign was expected");
    }

    Json parse_value(int depth) {
        if (depth > deepest) fail("too deep");
        skip_space();
        switch (peek()) {
            case '{':
                return parse_object(depth);
            case '[':
                return parse_array(depth);
            case '"':
                return parse_text();
            case 't':
                return parse_word("true", Json::Kind::boolean, 1);
            case 'f':
                return parse_word("false", Json::Kind::boolean, 0);
            case 'n':
                return parse_word("null", Json::Kind::null, 0);
            default:
                return parse_number();
        }
    }

    Json parse_object(int depth) {
        Json value;
        value.kind_ = Json::Kind::object;
        need('{');
        if (take('}')) return value;
        do {
            skip_space();
            std::string name = parse_string();
            need(':');
            if (value.find(name) != nullptr) fail("a key is there twice");
            value.members_.emplace_back(std::move(name), parse_value(depth + 1));
        } while (take(','));
        need('}');
        return value;
    }

    Json parse_array(int depth) {
        Json value;
        value.kind_ = Json::Kind::array;
        need('[');
        if (take(']')) return value;
        do value.items_.push_back(parse_value(depth + 1));
        while (take(','));
        need(']');
        return value;
    }

    Json parse_text() {
        Json value;
        value.kind_ = Json::Kind::string;
        value.string_ = parse_string();
        return value;
    }

    Json parse_word(std::string_view word, Json::Kind kind, double number) {
        if (text_.substr(at_, word.size()) != word) fail("no such word");
        at_ += word.size();
        Json value;
        value.kind_ = kind;
        value.number_ = number;
        return value;
    }

    Json parse_number() {
        size_t end = at_;
        while (end < text_.size() && std::string_view("+-.0123456789eE").find(text_[end]) != std::string_view::npos)
            end++;
        // Not strtod, which follows the language of the user.
        std::istringstream stream{std::string(text_.substr(at_, end - at_))};
        stream.imbue(std::locale::classic());
        Json value;
        value.kind_ = Json::Kind::number;
        if (!(stream >> value.number_) || stream.peek() != std::istringstream::traits_type::eof()) fail("no number");
        at_ = end;
        return value;
    }

    std::string parse_string() {
        std::string text;
        need('"');
        while (peek() != '"') {
            if (at_ >= text_.size() || static_cast<unsigned char>(peek()) < 0x20) fail("a string has no end");
            if (peek() == '\\')
                parse_escape(text);
            else
                text += text_[at_++];
        }
        at_++;
        return text;
    }

    void parse_escape(std::string& text) {
        static constexpr std::string_view names = "\"\\/bfnrt", signs = "\"\\/\b\f\n\r\t";
        at_++;
        char name = peek();
        at_++;
        if (name == 'u') {
            append_utf8(text, parse_code_point());
            return;
        }
        size_t which = names.find(name);
        if (which == std::string_view::npos) fail("no such escape");
        text += signs[which];
    }

    uint32_t parse_code_point() {
        uint32_t unit = parse_hex();
        if (unit < 0xD800 || unit > 0xDBFF) return unit;
        if (text_.substr(at_, 2) != "\\u") fail("half of a pair");
        at_ += 2;
        return 0x10000 + ((unit - 0xD800) << 10) + (parse_hex() - 0xDC00);
    }

    uint32_t parse_hex() {
        static constexpr std::string_view digits = "0123456789abcdef";
        uint32_t unit = 0;
        for (int i = 0; i < 4; i++, at_++) {
            size_t digit = digits.find(static_cast<char>(peek() | 0x20));
            if (digit == std::string_view::npos) fail("no hexadecimal number");
            unit = unit * 16 + static_cast<uint32_t>(digit);
        }
        return unit;
    }

    static void append_utf8(std::string& text, uint32_t point) {
        static constexpr uint32_t lead[] = {0, 0xC0, 0xE0, 0xF0};
        int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
        text += static_cast<char>(lead[more] | (point >> (6 * more)));
        while (more-- > 0) text += static_cast<char>(0x80 | ((point >> (6 * more)) & 0x3F));
    }

    std::string_view text_;
    size_t at_ = 0;
};

inline Json Json::parse(std::string_view text) { return JsonParser(text).whole(); }

}  // namespace pocketfit
