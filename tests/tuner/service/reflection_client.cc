// A client that knows no generated code: it learns the service by reflection, asks it through
// dynamic messages, and prints what `moetune query --json` prints.
//
//   reflection_client HOST:PORT PROBLEM_KEY [DEVICE_NAME]
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <cstdlib>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/testing/raw_call.h"

namespace pb = google::protobuf;
using Json = nlohmann::ordered_json;

// The part of gRPC's reflection protocol that is used here, as a descriptor.
constexpr char kReflection[] = R"(
  name: "reflection.proto" package: "grpc.reflection.v1alpha" syntax: "proto3"
  message_type { name: "Request"
    field { name: "file_containing_symbol" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL } }
  message_type { name: "Response"
    field { name: "file_descriptor_response" number: 4 type_name: "Files" label: LABEL_OPTIONAL } }
  message_type { name: "Files"
    field { name: "file_descriptor_proto" number: 1 type: TYPE_BYTES label: LABEL_REPEATED } }
  service { name: "ServerReflection"
    method { name: "ServerReflectionInfo" input_type: "Request" output_type: "Response"
             client_streaming: true server_streaming: true } }
)";

void Require(bool condition, const std::string& message) {
  if (condition) return;
  std::cerr << message << std::endl;
  std::exit(1);
}

// Calls a method of a service in `pool`: request and answer are described by it alone.
std::unique_ptr<pb::Message> Call(const std::shared_ptr<grpc::Channel>& channel,
                                  const pb::DescriptorPool& pool, const std::string& name,
                                  const Json& request) {
  const pb::MethodDescriptor* method = pool.FindMethodByName(name);
  Require(method != nullptr, "no method " + name);
  static pb::DynamicMessageFactory factory;
  std::unique_ptr<pb::Message> sent(factory.GetPrototype(method->input_type())->New());
  std::unique_ptr<pb::Message> received(factory.GetPrototype(method->output_type())->New());
  Require(pb::util::JsonStringToMessage(request.dump(), sent.get()).ok(), "bad request");
  std::string bytes;
  const grpc::Status status =
      moetune::RawCall(channel, "/" + method->service()->full_name() + "/" + method->name(),
                       sent->SerializeAsString(), &bytes);
  Require(status.ok(), status.error_message());
  Require(received->ParseFromString(bytes), "bad response of " + name);
  return received;
}

// Adds the file that declares `symbol`, as the server describes it.
void Learn(const std::shared_ptr<grpc::Channel>& channel, const std::string& symbol,
           pb::DescriptorPool& pool) {
  pb::FileDescriptorProto file;
  static pb::DescriptorPool reflection_pool;
  Require(pb::TextFormat::ParseFromString(kReflection, &file) && reflection_pool.BuildFile(file),
          "bad reflection.proto");
  const auto answer = Call(channel, reflection_pool,
                           "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
                           {{"file_containing_symbol", symbol}});
  const pb::FieldDescriptor* field = answer->GetDescriptor()->field(0);
  const pb::Message& files = answer->GetReflection()->GetMessage(*answer, field);
  const pb::FieldDescriptor* encoded = files.GetDescriptor()->field(0);
  for (int i = 0; i < files.GetReflection()->FieldSize(files, encoded); ++i) {
    Require(file.ParseFromString(files.GetReflection()->GetRepeatedString(files, encoded, i)) &&
                pool.BuildFile(file),
            "bad descriptor");
  }
}

Json ToJson(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  Require(pb::util::MessageToJsonString(message, &json, options).ok(), "bad response");
  return Json::parse(json);
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The JSON form of protobuf has 64-bit integers as text.
int64_t Integer(const Json& text) { return std::stoll(text.get<std::string>()); }

Json Answer(const std::string& key, const Json& response) {
  const Json& winner = response["winner"];
  const std::string tier = Lower(response["tier"].get<std::string>().substr(5));  // TIER_EXACT
  const bool timed = tier != "default";
  Json config = Json::object();
  for (const auto& [name, list] : winner["config"]["parameters"].items()) {
    for (const Json& value : list["values"]) config[name].push_back(Integer(value));
  }
  std::string routing;
  for (const Json& word : winner["problem"]["routing"]) {
    routing += (routing.empty() ? "" : "+") + word.get<std::string>();
  }
  char at[32] = "";
  const std::time_t seconds = Integer(winner["measured_at_us"]) / 1'000'000;
  std::strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&seconds));
  const double time = winner["time_us"], default_time = winner["default_time_us"];
  const std::string cubin = winner["cubin_sha256"];
  const bool estimated = winner["estimated"] || !timed;
  return {{"problem", key},
          {"matched_problem", winner["problem_key"]},
          {"tier", tier},
          {"family", winner["config"]["family"]},
          {"config", config},
          {"source", estimated ? "estimated" : "measured"},
          {"time_us", timed ? Json(time) : Json()},
          {"default_time_us", timed ? Json(default_time) : Json()},
          {"speedup", timed ? Json(default_time / time) : Json()},
          {"distance", response["distance"]},
          {"stale", response["stale"]},
          {"routing", routing},
          {"device", winner["device"]["name"]},
          {"cubin_sha256", cubin.empty() ? Json() : Json(cubin)},
          {"measured_at", timed ? Json(at) : Json()},
          {"snapshot_token", response["snapshot_token"]}};
}

int main(int argc, char** argv) {
  Require(argc == 3 || argc == 4, "usage: reflection_client HOST:PORT PROBLEM_KEY [DEVICE_NAME]");
  const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  pb::DescriptorPool pool;
  Learn(channel, "moetune.v1.ConfigService", pool);
  const std::string key = argv[2];
  const auto response =
      Call(channel, pool, "moetune.v1.ConfigService.Lookup",
           {{"problem_key", key}, {"device", {{"name", argc == 4 ? argv[3] : ""}}}});
  std::cout << Answer(key, ToJson(*response)).dump(2) << std::endl;
}
