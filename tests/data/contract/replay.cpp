// The preprocessing contract in C++, written after docs/preprocessing.md alone. Reads one case a line: the name of a
// step, then its numbers; writes what comes out, one line a case.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

using Bytes = std::vector<int>;

static int clip(int64_t value, int low = 0, int high = 255) {
    return static_cast<int>(std::min<int64_t>(std::max<int64_t>(value, low), high));
}

static int64_t down(int64_t n, int64_t d) { return n / d - (n % d != 0 && (n < 0) != (d < 0)); }

static int64_t divide(int64_t n, int64_t d, bool floor) {
    int64_t q = n / d, r = n - q * d;
    if (floor || 2 * r < d) return q;
    return 2 * r > d ? q + 1 : q + q % 2;
}

struct Taps {
    std::vector<std::vector<std::pair<int, int32_t>>> of;
    int unit;
};

static double shape(const std::string& kernel, double x) {
    if (kernel == "box") return -0.5 < x && x <= 0.5 ? 1.0 : 0.0;
    x = std::fabs(x);
    if (kernel == "bilinear") return x < 1.0 ? 1.0 - x : 0.0;
    if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 : 0.0;
}

static Taps wide(const std::string& kernel, int n, int m) {
    Taps taps{{}, 1 << 22};
    double reach = kernel == "box" ? 0.5 : kernel == "bilinear" ? 1.0 : 2.0;
    double scale = static_cast<double>(n) / m, stretch = std::max(scale, 1.0), support = reach * stretch;
    for (int i = 0; i < m; i++) {
        double center = (i + 0.5) * scale, total = 0.0;
        int first = std::max(0, static_cast<int>(center - support + 0.5));
        int end = std::min(n, static_cast<int>(center + support + 0.5));
        std::vector<double> w;
        for (int j = first; j < end; j++) w.push_back(shape(kernel, (j - center + 0.5) * (1.0 / stretch)));
        for (double one : w) total += one;
        taps.of.emplace_back();
        for (int j = first; j < end; j++) {
            double p = w[j - first] / total;
            taps.of[i].push_back({j, static_cast<int32_t>(p * 4194304.0 + (p >= 0 ? 0.5 : -0.5))});
        }
    }
    return taps;
}

static Taps area(int64_t n, int64_t m) {
    Taps taps{{}, 1 << 22};
    for (int64_t i = 0; i < m; i++) {
        taps.of.emplace_back();
        for (int64_t j = i * n / m; j < n && j * m < (i + 1) * n; j++) {
            int64_t c = std::max<int64_t>(0, std::min((i + 1) * n, (j + 1) * m) - std::max(i * n, j * m));
            taps.of[i].push_back({static_cast<int>(j), static_cast<int32_t>((c * 8388608 + n) / (2 * n))});
        }
    }
    return taps;
}

static int64_t inner(int64_t d) { return (5 * d * d * d - 18432 * d * d + 34359738368 + 8388608) >> 24; }

static int64_t outer(int64_t d) {
    return (-3 * d * d * d + 30720 * d * d - 100663296 * d + 103079215104 + 8388608) >> 24;
}

static Taps plain(const std::string& kernel, int64_t n, int64_t m) {
    Taps taps{{}, 1 << 11};
    for (int64_t i = 0; i < m; i++) {
        int64_t position = (2 * i + 1) * n - m, left = down(position, 2 * m), rest = position - left * 2 * m;
        int64_t t = (rest * 4096 + 2 * m) / (4 * m);
        auto at = [&](int64_t j, int64_t w) {
            taps.of[i].push_back({clip(j, 0, static_cast<int>(n - 1)), static_cast<int32_t>(w)});
        };
        taps.of.emplace_back();
        if (kernel == "bilinear") {
            at(left, 2048 - t), at(left + 1, t);
        } else {
            int64_t before = outer(2048 + t), behind = inner(2048 - t), second = outer(4096 - t);
            at(left - 1, before), at(left, 2048 - before - behind - second), at(left + 1, behind), at(left + 2, second);
        }
    }
    return taps;
}

static Taps taps_of(const std::string& kernel, bool antialias, int n, int m) {
    if (kernel == "nearest") {
        Taps taps{{}, 1};
        for (int64_t i = 0; i < m; i++) taps.of.push_back({{static_cast<int>((2 * i + 1) * n / (2 * m)), 1}});
        return taps;
    }
    if (kernel == "area") return area(n, m);
    return antialias || kernel == "box" ? wide(kernel, n, m) : plain(kernel, n, m);
}

static std::vector<int32_t> weigh(const std::vector<int32_t>& values, const Taps& taps, int outer_count, int n,
                                  int stride) {
    int m = static_cast<int>(taps.of.size());
    std::vector<int32_t> sums(static_cast<size_t>(outer_count) * m * stride);
    for (int o = 0; o < outer_count; o++)
        for (int i = 0; i < m; i++)
            for (int s = 0; s < stride; s++) {
                int32_t sum = 0;
                for (auto [j, w] : taps.of[i]) sum += values[(o * n + j) * stride + s] * w;
                sums[(o * m + i) * stride + s] = sum;
            }
    return sums;
}

static void to_pixels(std::vector<int32_t>& sums, int unit) {
    int bits = 0;
    while (1 << bits < unit) bits++;
    for (auto& sum : sums) sum = clip((sum + unit / 2) >> bits);
}

static Bytes resize(std::istream& in) {
    std::string kernel;
    int antialias, h, w, high, wide_;
    in >> kernel >> antialias >> h >> w >> high >> wide_;
    std::vector<int32_t> values(static_cast<size_t>(h) * w * 3);
    for (auto& value : values) in >> value;
    Taps columns = taps_of(kernel, antialias, w, wide_), rows = taps_of(kernel, antialias, h, high);
    values = weigh(values, columns, h, w, 3);
    bool late = !antialias && (kernel == "bilinear" || kernel == "bicubic");
    if (!late) to_pixels(values, columns.unit);
    values = weigh(values, rows, 1, h, wide_ * 3);
    to_pixels(values, late ? rows.unit * columns.unit : rows.unit);
    return Bytes(values.begin(), values.end());
}

static Bytes yuv(std::istream& in) {
    std::string format, matrix, range;
    int h, w, stride, length;
    in >> format >> matrix >> range >> h >> w >> stride >> length;
    Bytes data(length);
    for (auto& value : data) in >> value;
    static const int constants[4][5] = {{65536, 91881, 22553, 46802, 116130},
                                        {76309, 104597, 25675, 53279, 132201},
                                        {65536, 103206, 12276, 30679, 121609},
                                        {76309, 117489, 13975, 34925, 138438}};
    const int* c = constants[2 * (matrix == "bt709") + (range == "limited")];
    int row = stride ? stride : w, half = (row + 1) / 2, chroma = stride ? stride : 2 * half, step = 2;
    int u = row * h + (format == "nv21"), v = row * h + (format == "nv12");
    if (format == "i420") chroma = half, step = 1, u = row * h, v = u + half * ((h + 1) / 2);
    Bytes rgb;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int at = (y >> 1) * chroma + (x >> 1) * step;
            int cu = data[u + at] - 128, cv = data[v + at] - 128;
            int luma = (data[y * row + x] - (range == "limited" ? 16 : 0)) * c[0] + 32768;
            rgb.push_back(clip((luma + c[1] * cv) >> 16));
            rgb.push_back(clip((luma - c[2] * cu - c[3] * cv) >> 16));
            rgb.push_back(clip((luma + c[4] * cu) >> 16));
        }
    return rgb;
}

static Bytes orientation(std::istream& in) {
    int value, h, w;
    in >> value >> h >> w;
    Bytes pixels(h * w), turned;
    for (auto& pixel : pixels) in >> pixel;
    bool swap = value >= 5;
    int high = swap ? w : h, wide_ = swap ? h : w;
    bool rows = value == 3 || value == 4 || value == 7 || value == 8;
    bool columns = value == 2 || value == 3 || value == 6 || value == 7;
    for (int i = 0; i < high; i++)
        for (int j = 0; j < wide_; j++) {
            int y = rows ? high - 1 - i : i, x = columns ? wide_ - 1 - j : j;
            turned.push_back(swap ? pixels[x * w + y] : pixels[y * w + x]);
        }
    return turned;
}

static Bytes luma(std::istream& in) {
    Bytes gray;
    for (int r, g, b; in >> r >> g >> b;) gray.push_back((19595 * r + 38470 * g + 7471 * b + 32768) >> 16);
    return gray;
}

// The table of one channel: its bits for float32, its integers otherwise.
static Bytes table(std::istream& in) {
    std::string dtype;
    double scale, mean, std_, step = 1.0;
    int zero = 0;
    in >> dtype >> scale >> mean >> std_ >> step >> zero;
    Bytes entries;
    for (int p = 0; p < 256; p++) {
        float t = static_cast<float>(p) * static_cast<float>(scale);
        t = (t - static_cast<float>(mean)) / static_cast<float>(std_);
        int entry;
        std::memcpy(&entry, &t, 4);
        if (dtype != "float32") {
            bool sign = dtype == "int8";
            double q = std::nearbyint(t / static_cast<float>(step)) + zero;
            entry = static_cast<int>(std::min(std::max(q, sign ? -128.0 : 0.0), sign ? 127.0 : 255.0));
        }
        entries.push_back(entry);
    }
    return entries;
}

// Resized height and width, and the corner, of an image in a letterbox.
static Bytes letterbox(std::istream& in) {
    int64_t h, w, high, wide_;
    bool center, floor;
    in >> h >> w >> high >> wide_ >> center >> floor;
    int64_t new_h = high, new_w = wide_;
    if (wide_ * h <= high * w)
        new_h = std::max<int64_t>(1, divide(h * wide_, w, floor));
    else
        new_w = std::max<int64_t>(1, divide(w * high, h, floor));
    int64_t top = center ? (high - new_h) / 2 : 0, left = center ? (wide_ - new_w) / 2 : 0;
    return {static_cast<int>(new_h), static_cast<int>(new_w), static_cast<int>(top), static_cast<int>(left)};
}

// Resized height and width for a shorter side, and the first row and column of a square crop.
static Bytes shorter_side(std::istream& in) {
    int64_t h, w, pixels, crop;
    bool floor, floor_offset;
    in >> h >> w >> pixels >> floor >> crop >> floor_offset;
    int64_t high = pixels, wide_ = pixels;
    if (w <= h)
        high = std::max(pixels, divide(h * pixels, w, floor));
    else
        wide_ = std::max(pixels, divide(w * pixels, h, floor));
    int64_t top = divide(high - crop, 2, floor_offset), left = divide(wide_ - crop, 2, floor_offset);
    return {static_cast<int>(high), static_cast<int>(wide_), static_cast<int>(top), static_cast<int>(left)};
}

int main() {
    for (std::string line, step; std::getline(std::cin, line);) {
        std::istringstream in(line);
        in >> step;
        Bytes found = step == "resize"        ? resize(in)
                      : step == "yuv"         ? yuv(in)
                      : step == "luma"        ? luma(in)
                      : step == "orientation" ? orientation(in)
                      : step == "table"       ? table(in)
                      : step == "letterbox"   ? letterbox(in)
                                              : shorter_side(in);
        for (size_t i = 0; i < found.size(); i++) std::cout << (i ? " " : "") << found[i];
        std::cout << "\n";
    }
}
