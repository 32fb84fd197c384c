#include "proto/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <concepts>
#include <limits>
#include <random>
#include <type_traits>

#include "absl/strings/str_format.h"
#include "db/fields.h"
#include "moetune/internal/worker.pb.h"
#include "proto/field_path.h"
#include "tests/testing/records.h"

namespace moetune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Valid values drawn from everything that the domain allows.
class Random {
 public:
  int64_t Between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  int64_t Size(int bits) { return (int64_t{1} << Between(0, bits)) + Between(0, 1); }
  double Number() { return std::ldexp(static_cast<double>(Between(0, 1 << 20)), -7); }
  std::string Word() { return std::string(static_cast<size_t>(Between(1, 12)), 'a') + "µ"; }
  template <typename T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Between(0, static_cast<int64_t>(values.size()) - 1)];
  }

  Problem NextProblem() {
    Problem problem;
    Shape& shape = problem.shape;
    shape.dtype = OneOf({Dtype::kBf16, Dtype::kFp16, Dtype::kFp32});
    shape.output = OneOf({shape.dtype, Dtype::kFp32});
    shape.fusions = OneOf<Fusions>(
        {0, kGather, kScatter, kScatter | kScale, kGather | kSwiglu | kPreact, kCombine});
    shape.experts = Size(8);
    shape.top_k = Between(1, shape.experts);
    shape.n = Size(14);
    shape.k = Size(14);
    problem.tokens = Size(16);
    problem.rows = Between(1, problem.tokens * shape.top_k);
    problem.routing.kinds = static_cast<uint32_t>(Between(1, 15));
    if ((problem.routing.kinds & kCounts) != 0) {
      problem.routing.counts_hash = static_cast<uint32_t>(Between(1, 0xffffffff));
    }
    return problem;
  }

  DeviceSpec NextDevice() {
    return {.name = Word(),
            .compute_capability = static_cast<int>(Between(75, 120)),
            .sm_count = static_cast<int>(Between(1, 200)),
            .shared_bytes_per_block = Size(20),
            .shared_bytes_per_sm = Size(20),
            .registers_per_sm = static_cast<int>(Size(17)),
            .l2_bytes = Between(0, 1 << 30),
            .memory_bytes = Between(0, int64_t{1} << 40),
            .read_gbps = Number(),
            .write_gbps = Number(),
            .copy_gbps = Number(),
            .matrix_tflops = Number(),
            .fma_tflops = Number()};
  }

  Config NextConfig() {
    Config config;
    for (int64_t i = Between(0, 5); i > 0; --i) {
      Config::Values values(static_cast<size_t>(Between(1, 3)));
      for (int64_t& value : values) value = Between(-(int64_t{1} << 53), int64_t{1} << 53);
      config.Set(absl::StrFormat("p%d_x", Between(0, 99)), values);
    }
    return config;
  }

  Winner NextWinner() {
    return {.sweep = Word(),
            .problem = NextProblem(),
            .device = NextDevice(),
            .environment = {Word(), Word(), Word(), Word()},
            .family = Word(),
            .config = NextConfig(),
            .cubin_sha256 = Word(),
            .estimated = Between(0, 1) == 1,
            .time_us = Number(),
            .time_us_low = Number(),
            .time_us_high = Number(),
            .default_family = Word(),
            .default_config = NextConfig(),
            .default_time_us = Number(),
            .reason = Word(),
            .measured_at = Between(0, int64_t{1} << 60)};
  }

 private:
  std::mt19937_64 engine_{20261123};
};

// Through bytes, so that what only an object in memory holds is lost.
template <typename Message>
Message OverTheWire(const Message& message) {
  Message received;
  EXPECT_TRUE(received.ParseFromString(message.SerializeAsString()));
  return received;
}

TEST(Convert, EveryProblemComesBackAsItWas) {
  Random random;
  for (int i = 0; i < 2000; ++i) {
    const Problem problem = random.NextProblem();
    if (!ValidateProblem(problem).ok()) continue;
    const auto back = FromProto(OverTheWire(ToProto(problem)), "problem");
    ASSERT_TRUE(back.ok()) << ProblemKey(problem) << ": " << back.status();
    EXPECT_EQ(*back, problem) << ProblemKey(problem);
  }
}

TEST(Convert, EveryWinnerComesBackAsItWas) {
  Random random;
  for (int i = 0; i < 500; ++i) {
    const Winner winner = random.NextWinner();
    if (!ValidateProblem(winner.problem).ok()) continue;
    const auto back = FromProto(OverTheWire(ToProto(winner)), "winner");
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, winner);
  }
}

TEST(Convert, EveryTierComesBackAsItWas) {
  const auto winner = std::make_shared<const Winner>(WinnerFor(SmallProblem(64)));
  for (Tier tier : {Tier::kExact, Tier::kBucket, Tier::kNeighbour, Tier::kSibling, Tier::kEstimated,
                    Tier::kDefault}) {
    const auto back = FromProto(OverTheWire(ToProto(Choice{tier, 1.25, winner}, {}, "id:7")), "");
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->tier, tier);
    EXPECT_EQ(back->distance, 1.25);
    EXPECT_EQ(*back->winner, *winner);
  }
}

TEST(Convert, DifferencesToTheAskersEnvironmentAreStaleReasons) {
  const Choice choice{Tier::kExact, 0, std::make_shared<const Winner>(WinnerFor(SmallProblem(64)))};
  EXPECT_THAT(ToProto(choice, {}, "id:7").stale(), IsEmpty());
  EXPECT_THAT(ToProto(choice, {.driver = "700.1"}, "id:7").stale(),
              ElementsAre(HasSubstr("700.1")));
}

TEST(Convert, AWinnerCarriesItsKeyForThoseWhoOnlyPrintIt) {
  EXPECT_EQ(ToProto(WinnerFor(SmallProblem(64))).problem_key(),
            "forward/bf16/plain/e8/t64x2/n1024/k512/softmax");
}

TEST(Convert, RoutingAndRowsThatAreLeftOutHaveTheirDefaults) {
  v1::Problem message = ToProto(SmallProblem(64));
  message.clear_routing();
  message.clear_rows();
  EXPECT_EQ(FromProto(message, "problem").value(), SmallProblem(64));
}

TEST(Convert, FusionsAreASetInAnyOrder) {
  v1::Problem message = ToProto(SmallProblem(64));
  message.add_fusions("scale");
  message.add_fusions("scatter");
  EXPECT_EQ(FromProto(message, "")->shape.fusions, Fusions{kScatter | kScale});
}

struct BadField {
  std::string name;
  std::function<void(v1::Problem&)> spoil;
  std::string path;
  std::string message;
};

class BadProblem : public ::testing::TestWithParam<BadField> {};

TEST_P(BadProblem, IsRefusedWithThePathOfItsField) {
  v1::Problem message = ToProto(SmallProblem(64));
  GetParam().spoil(message);
  const auto problem = FromProto(message, "requests[3].problem");
  ASSERT_EQ(problem.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldPath(problem.status()), GetParam().path);
  EXPECT_THAT(std::string(problem.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Convert, BadProblem,
    ::testing::Values(
        BadField{"Op", [](auto& p) { p.set_op("forwrad"); }, "requests[3].problem.op",
                 "did you mean 'forward'"},
        BadField{"LongOp", [](auto& p) { p.set_op(std::string(1 << 20, 'x')); },
                 "requests[3].problem.op", "1048576 bytes"},
        BadField{"Dtype", [](auto& p) { p.set_dtype("fp8"); }, "requests[3].problem.dtype", "fp8"},
        BadField{"Fusion", [](auto& p) { p.add_fusions("gahter"); }, "requests[3].problem.fusions",
                 "did you mean 'gather'"},
        BadField{"JoinedFusions", [](auto& p) { p.add_fusions("scatter+scale"); },
                 "requests[3].problem.fusions[0]", "one word"},
        BadField{"FusionsTogether",
                 [](auto& p) {
                   p.add_fusions("gather");
                   p.add_fusions("scatter");
                 },
                 "requests[3].problem.fusions", "gather"},
        BadField{"Routing", [](auto& p) { p.add_routing("uniform"); },
                 "requests[3].problem.routing", "uniform"},
        BadField{"NoExperts", [](auto& p) { p.clear_experts(); }, "requests[3].problem.experts",
                 "not 0"},
        BadField{"NegativeN", [](auto& p) { p.set_n(-1); }, "requests[3].problem.n", "not -1"},
        BadField{"HugeK", [](auto& p) { p.set_k(std::numeric_limits<int64_t>::max()); },
                 "requests[3].problem.k", "from 1 to"},
        BadField{"HugeTokens", [](auto& p) { p.set_tokens(kMaxSize); },
                 "requests[3].problem.tokens", "from 1 to"},
        BadField{"TooManyRows", [](auto& p) { p.set_rows(64 * 2 + 1); }, "requests[3].problem.rows",
                 "128"},
        BadField{"TopKOverExperts",
                 [](auto& p) {
                   p.set_top_k(9);
                   p.clear_rows();
                 },
                 "requests[3].problem.top_k", "9"}),
    [](const auto& each) { return each.param.name; });

TEST(Convert, ADeviceWithoutItsFactsIsRefusedByField) {
  const v1::Device whole = ToProto(Fiction100());
  v1::Device device = whole;
  device.set_sm_count(0);
  EXPECT_EQ(FieldPath(FromProto(device, "device").status()), "device.sm_count");
  device = whole;
  device.clear_name();
  EXPECT_EQ(FieldPath(FromProto(device, "device").status()), "device.name");
  device = whole;
  device.set_read_gbps(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(FieldPath(FromProto(device, "device").status()), "device.read_gbps");
}

TEST(Convert, AConfigThatHasNoTextIsRefused) {
  for (const char* name : {"", "Block", "a b", "a=1", "-D"}) {
    v1::Winner message = ToProto(WinnerFor(SmallProblem(64)));
    (*message.mutable_config()->mutable_parameters())[name].add_values(1);
    EXPECT_EQ(FieldPath(FromProto(message, "winner").status()), "winner.config.parameters") << name;
  }
  v1::Winner message = ToProto(WinnerFor(SmallProblem(64)));
  (*message.mutable_config()->mutable_parameters())["stages"];  // no integers
  EXPECT_FALSE(FromProto(message, "winner").ok());
}

TEST(Convert, ATierOfALaterVersionRanksLastAndNoTierIsAnError) {
  const auto winner = std::make_shared<const Winner>(WinnerFor(SmallProblem(64)));
  v1::LookupResponse response = ToProto(Choice{Tier::kExact, 0, winner}, {}, "id:7");
  response.set_tier(static_cast<v1::Tier>(v1::TIER_DEFAULT + 1));
  const auto later = FromProto(OverTheWire(response), "");
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_EQ(later->tier, Tier::kDefault);
  EXPECT_EQ(*later->winner, *winner);
  response.set_tier(v1::TIER_UNSPECIFIED);
  EXPECT_EQ(FieldPath(FromProto(response, "").status()), "tier");
}

// Puts a value that is hard to send into the `place`th field of a row and of what it refers to.
struct Spoiler {
  int place;
  Random& random;

  void operator()(std::string_view, std::string& value) {
    Put(value, {"", "\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\nb", "a\tb",
                std::string(1, '\0'), "\x7f", "\xf0\x9f\x9a\x80", std::string(256, 'x'),
                std::string(257, 'x')});
  }
  void operator()(std::string_view, double& value) {
    using Limits = std::numeric_limits<double>;
    Put(value, {0.0, -0.0, -1.0, Limits::denorm_min(), Limits::max(), Limits::infinity(),
                Limits::quiet_NaN()});
  }
  template <std::integral T>
  void operator()(std::string_view, T& value) {
    using Limits = std::numeric_limits<T>;
    Put(value, {T{0}, T{1}, static_cast<T>(-1), Limits::min(), Limits::max()});
  }
  void operator()(std::string_view, DeviceSpec& device) { VisitFields(device, *this); }
  void operator()(std::string_view, Environment& environment) { VisitFields(environment, *this); }
  void operator()(std::string_view, Problem&) {}
  void operator()(std::string_view, Config&) {}

  template <typename T>
  void Put(T& value, std::initializer_list<std::type_identity_t<T>> values) {
    if (place-- == 0) value = random.OneOf(values);
  }
};

TEST(Convert, WhateverAStoreTakesComesBackAsItWas) {
  Random random;
  int taken = 0;
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    Winner winner = WinnerFor(SmallProblem(64));
    Spoiler spoiler{i % 40, random};
    VisitFields(winner, spoiler);
    // A config means nothing without its family, and is not sent.
    if (winner.default_family.empty()) winner.default_config = Config();
    if (!ValidateRecord(NewRecord(winner)).ok()) {
      ++refused;
      continue;
    }
    ++taken;
    const auto back = FromProto(OverTheWire(ToProto(winner)), "winner");
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_EQ(*back, winner);
  }
  EXPECT_GT(taken, 1000);
  EXPECT_GT(refused, 1000);
}

TEST(Convert, WhatACompilerSaysIsPassedOnInAnyBytes) {
  internal::Compiled compiled;
  compiled.set_error("cut in a character: \xc3");
  EXPECT_EQ(OverTheWire(compiled).error(), compiled.error());
}

}  // namespace
}  // namespace moetune
