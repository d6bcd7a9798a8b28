// From a model's outputs to answers, in buffers that are kept from frame to frame.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "pocketfit/contract.hpp"
#include "pocketfit/placement.hpp"

namespace pocketfit {

// A class and its score; for detectors also left, top, right and bottom in pixels of the upright image.
struct Answer {
    int index = 0;
    double score = 0;
    std::array<double, 4> box{};
};

// One for each thread.
class Postprocessor {
public:
    explicit Postprocessor(Contract contract) : contract_(std::move(contract)) {}

    // The best classes, best first; valid until the next call.
    const std::vector<Answer>& classes(const float* scores, size_t count) {
        check_finite(scores, count);
        answers_.clear();
        for (size_t i = 0; i < count; i++) insert(static_cast<int>(i), scores[i]);
        if (contract_.softmax) {
            double most = answers_.front().score, total = 0;
            for (size_t i = 0; i < count; i++) total += std::exp(scores[i] - most);
            for (Answer& answer : answers_) answer.score = std::exp(answer.score - most) / total;
        }
        return answers_;
    }

    // The kept boxes, best first; valid until the next call. `boxes` is count x 4, `scores` count x classes.
    const std::vector<Answer>& boxes(const float* boxes, const float* scores, size_t count, size_t classes,
                                     const Placement& where) {
        candidates_.clear();
        for (size_t i = 0; i < count; i++) {
            Answer best = best_class(scores + i * classes, classes);
            if (best.score < contract_.score_threshold) continue;
            best.box = corners(boxes + i * 4, where.size);
            candidates_.push_back(best);
        }
        sort_candidates();
        keep();
        for (Answer& answer : answers_) answer.box = in_image(answer.box, where);
        return answers_;
    }

    // The vector, of length 1 if the contract says so; valid until the next call.
    const std::vector<float>& embedding(const float* values, size_t count) {
        check_finite(values, count);
        double sum = 0;
        for (size_t i = 0; i < count; i++) sum += static_cast<double>(values[i]) * values[i];
        double length = contract_.normalise && sum > 0 ? std::sqrt(sum) : 1.0;
        vector_.resize(count);
        for (size_t i = 0; i < count; i++) vector_[i] = static_cast<float>(values[i] / length);
        return vector_;
    }

    const Contract& contract() const { return contract_; }

private:
    static void check_finite(const float* values, size_t count) {
        bool good = count > 0;
        for (size_t i = 0; i < count; i++) good = good && std::isfinite(values[i]);
        if (!good)
            throw Error("the output is empty or holds numbers that are not finite; check the model and its input");
    }

    // Into the best so far, behind those that are as good.
    void insert(int index, double score) {
        const auto most = static_cast<size_t>(contract_.top_k);
        if (answers_.size() == most && score <= answers_.back().score) return;
        if (answers_.size() == most) answers_.pop_back();
        auto better = [score](const Answer& answer) { return answer.score >= score; };
        answers_.insert(std::partition_point(answers_.begin(), answers_.end(), better), Answer{index, score, {}});
    }

    Answer best_class(const float* scores, size_t classes) const {
        double most = scores[0], total = 0;
        for (size_t i = 0; i < classes; i++) most = std::max<double>(most, scores[i]);
        if (contract_.activation == Activation::softmax)
            for (size_t i = 0; i < classes; i++) total += std::exp(scores[i] - most);
        Answer best{0, activated(scores[0], most, total), {}};
        for (size_t i = 1; i < classes; i++) {
            double score = activated(scores[i], most, total);
            if (score > best.score) best = {static_cast<int>(i), score, {}};
        }
        return best;
    }

    double activated(double score, double most, double total) const {
        if (contract_.activation == Activation::sigmoid) return 1.0 / (1.0 + std::exp(-score));
        return contract_.activation == Activation::softmax ? std::exp(score - most) / total : score;
    }

    std::array<double, 4> corners(const float* box, Size size) const {
        std::array<double, 4> sides{box[0], box[1], box[2], box[3]};
        if (contract_.box_format == BoxFormat::cxcywh) {
            double width = sides[2] / 2, height = sides[3] / 2;
            sides = {box[0] - width, box[1] - height, box[0] + width, box[1] + height};
        }
        if (contract_.normalised)
            for (size_t i = 0; i < 4; i++) sides[i] *= i % 2 == 0 ? size.width : size.height;
        return sides;
    }

    void sort_candidates() {
        order_.resize(candidates_.size());
        for (size_t i = 0; i < order_.size(); i++) order_[i] = i;
        std::sort(order_.begin(), order_.end(), [this](size_t one, size_t other) {
            double a = candidates_[one].score, b = candidates_[other].score;
            return a != b ? a > b : one < other;
        });
    }

    void keep() {
        answers_.clear();
        for (size_t index : order_) {
            const Answer& candidate = candidates_[index];
            auto rival = [this, &candidate](const Answer& kept) {
                return (!contract_.class_wise || kept.index == candidate.index) &&
                       overlap(kept.box, candidate.box) > contract_.iou_threshold;
            };
            if (std::none_of(answers_.begin(), answers_.end(), rival)) answers_.push_back(candidate);
            if (answers_.size() == static_cast<size_t>(contract_.max_boxes)) return;
        }
    }

    static double area(const std::array<double, 4>& box) {
        return std::max(box[2] - box[0], 0.0) * std::max(box[3] - box[1], 0.0);
    }

    static double overlap(const std::array<double, 4>& one, const std::array<double, 4>& other) {
        double shared = area({std::max(one[0], other[0]), std::max(one[1], other[1]), std::min(one[2], other[2]),
                              std::min(one[3], other[3])});
        double both = area(one) + area(other) - shared;
        return both > 0 ? shared / both : 0.0;
    }

    static std::array<double, 4> in_image(const std::array<double, 4>& box, const Placement& where) {
        auto moved = [](double side, int offset, int image, int resized) {
            return std::clamp((side - offset) * image / resized, 0.0, static_cast<double>(image));
        };
        auto x = [&](double side) { return moved(side, where.left, where.image.width, where.resized.width); };
        auto y = [&](double side) { return moved(side, where.top, where.image.height, where.resized.height); };
        return {x(box[0]), y(box[1]), x(box[2]), y(box[3])};
    }

    Contract contract_;
    std::vector<Answer> answers_;
    std::vector<Answer> candidates_;
    std::vector<size_t> order_;
    std::vector<float> vector_;
};

}  // namespace pocketfit
