#include "tuner/service/server.h"

#include <arpa/inet.h>
#include <grpcpp/server_builder.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "moetune/v1/config_service.grpc.pb.h"
#include "proto/client.h"
#include "proto/field_path.h"
#include "runtime/remote_source.h"
#include "runtime/snapshot_source.h"
#include "tests/testing/eventually.h"
#include "tests/testing/raw_call.h"
#include "tests/testing/records.h"
#include "tests/testing/scripted_store.h"
#include "tests/testing/temp_folder.h"

namespace moetune {
namespace {

using ::testing::HasSubstr;

constexpr char kAnyPort[] = "127.0.0.1:0";
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// A server over a log in memory, and a client of it.
class ServerTest : public ::testing::Test {
 protected:
  void Start(const std::vector<Record>& records) {
    auto store = NewScriptedStore();
    store_ = store.get();
    ASSERT_TRUE(store->Append(records).ok());
    auto server = Server::Start(std::move(store), {.listen = kAnyPort,
                                                   .poll_interval = absl::Milliseconds(1),
                                                   .log = [](std::string_view) {}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = Client::Connect(server_->address()).value();
  }

  std::shared_ptr<grpc::Channel> Channel() const {
    return grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  }

  ScriptedStore* store_ = nullptr;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(ServerTest, LookupGivesTheStoredWinner) {
  Start({NewRecord(WinnerFor(SmallProblem(64)))});
  const auto answer = client_->Lookup(SmallProblem(64), Fiction100(), {.driver = "700.5"});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->choice.tier, Tier::kExact);
  EXPECT_EQ(*answer->choice.winner, WinnerFor(SmallProblem(64)));
  EXPECT_THAT(answer->stale, ::testing::ElementsAre(HasSubstr("700.5")));
  EXPECT_THAT(answer->snapshot_token, ::testing::EndsWith(":1"));
}

TEST_F(ServerTest, ARemoteSourceAnswersAsTheFileDoes) {
  const TempFolder folder;
  const std::vector<Record> records = {NewRecord(WinnerFor(SmallProblem(64)))};
  const std::string path = folder.File("winners.db");
  ASSERT_TRUE((*OpenStore(path, OpenMode::kReadWrite))->Append(records).ok());
  Start(records);
  const auto remote = OpenRemoteSource(server_->address());
  const auto local = OpenSnapshotSource(path);
  ASSERT_TRUE(remote.ok() && local.ok()) << remote.status() << local.status();
  for (const auto& [tokens, tier] : {std::pair(64, Tier::kExact), std::pair(80, Tier::kBucket)}) {
    const auto answer = (*remote)->Lookup(SmallProblem(tokens), Fiction100());
    const auto expected = (*local)->Lookup(SmallProblem(tokens), Fiction100());
    ASSERT_TRUE(answer.ok() && expected.ok()) << answer.status() << expected.status();
    EXPECT_EQ(answer->tier, tier);
    EXPECT_EQ(answer->tier, expected->tier);
    EXPECT_DOUBLE_EQ(answer->distance, expected->distance);
    EXPECT_EQ(*answer->winner, *expected->winner);
    EXPECT_EQ(*answer->winner, WinnerFor(SmallProblem(64)));
  }
}

TEST_F(ServerTest, AMissIsAnsweredWithTierDefault) {
  Start({});
  const auto answer = client_->Lookup(SmallProblem(64), Fiction100(), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->choice.tier, Tier::kDefault);
  EXPECT_EQ(answer->choice.winner->problem, SmallProblem(64));
}

TEST_F(ServerTest, BatchLookupAnswersInOrderFromOneSnapshot) {
  Start({NewRecord(WinnerFor(SmallProblem(16))), NewRecord(WinnerFor(SmallProblem(64)))});
  const auto answers = client_->BatchLookup({SmallProblem(64), SmallProblem(16)}, Fiction100(), {});
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_EQ(answers->size(), 2u);
  EXPECT_EQ((*answers)[0].choice.winner->problem, SmallProblem(64));
  EXPECT_EQ((*answers)[1].choice.winner->problem, SmallProblem(16));
  EXPECT_EQ((*answers)[0].snapshot_token, (*answers)[1].snapshot_token);
}

TEST_F(ServerTest, AFullBatchFitsInOneMessage) {
  Start({NewRecord(WinnerFor(SmallProblem(64)))});
  const std::vector<Problem> problems(1000, SmallProblem(64));
  const auto answers = client_->BatchLookup(problems, Fiction100(), FictionalEnvironment());
  ASSERT_TRUE(answers.ok()) << answers.status();
  EXPECT_EQ(answers->size(), 1000u);
}

TEST_F(ServerTest, ErrorsArriveWithCodeMessageAndFieldPath) {
  Start({});
  Problem problem = SmallProblem(64);
  problem.shape.top_k = 0;
  const absl::Status status =
      client_->BatchLookup({SmallProblem(64), problem}, Fiction100(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldPath(status), "requests[1].problem.top_k");
  EXPECT_THAT(std::string(status.message()), HasSubstr("not 0"));
}

TEST_F(ServerTest, TenThousandWinnersArriveOverPages) {
  Start(ManyWinners(10'000));
  const auto winners = client_->ListWinners("");
  ASSERT_TRUE(winners.ok()) << winners.status();
  ASSERT_EQ(winners->size(), 10'000u);
  std::vector<std::string> keys;
  for (const Winner& winner : *winners) keys.push_back(ProblemKey(winner.problem));
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_EQ(std::ranges::adjacent_find(keys), keys.end());
}

TEST_F(ServerTest, ListWinnersTakesADeviceName) {
  Start(
      {NewRecord(WinnerFor(SmallProblem(64), Fable75())), NewRecord(WinnerFor(SmallProblem(64)))});
  EXPECT_EQ(client_->ListWinners("Fable 75")->size(), 1u);
  EXPECT_EQ(FieldPath(client_->ListWinners("Fabel 75").status()), "device_name");
}

TEST_F(ServerTest, AnswersGoOnWhileSnapshotsAreSwapped) {
  constexpr int kRows = 40;
  Start({});
  std::atomic<int> failures = 0;
  std::vector<std::jthread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const auto answer = client_->Lookup(SmallProblem(1), Fiction100(), {});
        if (!answer.ok()) ++failures;
      }
    });
  }
  for (int i = 1; i <= kRows; ++i) {
    ASSERT_TRUE(store_->Append(std::vector{NewRecord(WinnerFor(SmallProblem(i)))}).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(Eventually([&] { return client_->ListWinners("")->size() == kRows; }));
  askers.clear();
  EXPECT_EQ(failures, 0);
}

TEST_F(ServerTest, ABatchWhoseCallerIsGoneStops) {
  Start({});
  std::vector<Problem> misses;
  for (int i = 1; i <= 1000; ++i) misses.push_back(SmallProblem(i));
  auto hasty = Client::Connect(server_->address(), absl::Milliseconds(50)).value();
  const absl::Status status = hasty->BatchLookup(misses, Fiction100(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  const auto start = std::chrono::steady_clock::now();
  server_->Stop();  // gives a running call a second
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(900));
}

TEST_F(ServerTest, ARequestOverTheSizeLimitIsRefusedAndTheServerGoesOn) {
  Start({});
  std::string response;
  const grpc::Status status = RawCall(Channel(), "/moetune.v1.ConfigService/Lookup",
                                      std::string((1 << 20) + 1, 'x'), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(client_->Lookup(SmallProblem(64), Fiction100(), {}).ok());
}

TEST_F(ServerTest, HealthIsServingForTheServiceAndTheWholeServer) {
  Start({});
  const std::string service = "moetune.v1.ConfigService";
  for (const std::string& name : {std::string(), service}) {
    // HealthCheckRequest{service = name}; HealthCheckResponse{status = SERVING (1)}.
    const std::string request =
        name.empty() ? "" : absl::StrFormat("\x0a%c%s", static_cast<char>(name.size()), name);
    std::string response;
    ASSERT_TRUE(RawCall(Channel(), kHealthCheck, request, &response).ok()) << name;
    EXPECT_EQ(response, "\x08\x01") << name;
  }
  std::string response;
  EXPECT_EQ(RawCall(Channel(), kHealthCheck, "\x0a\x01x", &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, WhoWatchesHealthHearsThatTheServerStops) {
  Start({});
  grpc::GenericStub stub(Channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto watch = stub.PrepareCall(&context, "/grpc.health.v1.Health/Watch", &queue);
  watch->StartCall(nullptr);
  ASSERT_TRUE(done());
  const grpc::Slice whole_server("");
  watch->WriteLast(grpc::ByteBuffer(&whole_server, 1), grpc::WriteOptions(), nullptr);
  ASSERT_TRUE(done());
  const auto next = [&] {
    grpc::ByteBuffer bytes;
    grpc::Slice slice;
    watch->Read(&bytes, nullptr);
    if (!done() || !bytes.DumpToSingleSlice(&slice).ok()) return std::string("the end");
    return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
  };
  EXPECT_EQ(next(), "\x08\x01");  // SERVING
  std::jthread stopping([this] { server_->Stop(); });
  EXPECT_EQ(next(), "\x08\x02");  // NOT_SERVING
  context.TryCancel();
  grpc::Status status;
  watch->Finish(&status, nullptr);
  done();
}

TEST_F(ServerTest, ReflectionListsTheServices) {
  Start({});
  std::string response;
  const std::string list_services("\x3a\x01*");  // ServerReflectionRequest{list_services = "*"}
  ASSERT_TRUE(RawCall(Channel(), kReflection, list_services, &response).ok());
  EXPECT_THAT(response, HasSubstr("moetune.v1.ConfigService"));
  EXPECT_THAT(response, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(ServerTest, StopMayBeCalledTwiceAndThenNothingAnswers) {
  Start({});
  ASSERT_TRUE(client_->Lookup(SmallProblem(64), Fiction100(), {}).ok());
  server_->Stop();
  server_->Stop();
  const absl::Status status = client_->Lookup(SmallProblem(64), Fiction100(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(server_->address()));
}

TEST_F(ServerTest, APortInUseIsAClearError) {
  Start({});
  const auto second = Server::Start(NewScriptedStore(), {.listen = server_->address()});
  ASSERT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(server_->address()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
  EXPECT_TRUE(client_->Lookup(SmallProblem(64), Fiction100(), {}).ok());
}

TEST(Server, AMalformedListenAddressIsRefused) {
  EXPECT_EQ(Server::Start(NewScriptedStore(), {.listen = "localhost"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Server, AStoreThatCannotBeReadIsTheErrorOfStart) {
  auto store = NewScriptedStore();
  store->set_failing(true);
  EXPECT_EQ(Server::Start(std::move(store), {.listen = kAnyPort}).status(),
            absl::UnavailableError("the disk is gone"));
}

TEST(Server, RowsThatAnotherStoreAppendsToTheFileAreServedWithinASecond) {
  const TempFolder folder;
  const std::string path = folder.File("moetune.db");
  auto writer = OpenStore(path, OpenMode::kReadWrite).value();
  ASSERT_TRUE(writer->Append(std::vector{NewRecord(WinnerFor(SmallProblem(16)))}).ok());
  auto server =
      Server::Start(OpenStore(path, OpenMode::kReadOnly).value(), {.listen = kAnyPort}).value();
  auto client = Client::Connect(server->address()).value();
  ASSERT_EQ(client->ListWinners("")->size(), 1u);

  ASSERT_TRUE(writer->Append(std::vector{NewRecord(WinnerFor(SmallProblem(64)))}).ok());
  EXPECT_TRUE(
      Eventually([&] { return client->ListWinners("")->size() == 2; }, std::chrono::seconds(1)));
}

// Knows the call, and does not do it.
class Reluctant : public v1::ConfigService::Service {
  grpc::Status Lookup(grpc::ServerContext*, const v1::LookupRequest*,
                      v1::LookupResponse*) override {
    return {grpc::StatusCode::UNIMPLEMENTED, "not on Sundays"};
  }
};

TEST(Client, ACallThatIsNotOfferedIsToldWithItsReason) {
  Reluctant service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(kAnyPort, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  auto client = Client::Connect(absl::StrFormat("127.0.0.1:%d", port)).value();
  const absl::Status status = client->Lookup(SmallProblem(64), Fiction100(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not offer this call"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("not on Sundays"));
}

TEST(Client, AnUnreachableServerIsUnavailableWithItsAddress) {
  // Port 1 of this machine: nothing listens there, and the refusal comes at once.
  auto client = Client::Connect("127.0.0.1:1").value();
  const absl::Status status = client->Lookup(SmallProblem(64), Fiction100(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:1"));
}

// Connections are taken by the kernel, and nobody ever answers on them.
TEST(Client, NoAnswerWithinTheDeadlineSaysSo) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in bound = {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(bound);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&bound), size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size), 0);
  const std::string address = "127.0.0.1:" + std::to_string(ntohs(bound.sin_port));
  auto client = Client::Connect(address, absl::Milliseconds(100)).value();
  const absl::Status status = client->Lookup(SmallProblem(64), Fiction100(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
  close(listener);
}

TEST(Client, AnAddressThatCannotBeReachedIsRefusedBeforeAnyCall) {
  for (const char* address : {"localhost", "", "127.0.0.1:0", "127.0.0.1:99999"}) {
    EXPECT_EQ(Client::Connect(address).status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

}  // namespace
}  // namespace moetune
