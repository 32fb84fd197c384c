// gRPC calls in bytes, for tests that must not lean on generated code.
#ifndef MOETUNE_TESTS_TESTING_RAW_CALL_H_
#define MOETUNE_TESTS_TESTING_RAW_CALL_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

namespace moetune {

// One message there and the first one back, of a unary call or of a stream in both directions.
inline grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel,
                            const std::string& method, const std::string& request,
                            std::string* response) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  done();
  const grpc::Slice sent(request);
  call->WriteLast(grpc::ByteBuffer(&sent, 1), grpc::WriteOptions(), nullptr);
  done();
  grpc::ByteBuffer received;
  call->Read(&received, nullptr);
  if (done()) {
    grpc::Slice slice;
    if (received.DumpToSingleSlice(&slice).ok()) {
      response->assign(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  done();
  return status;
}

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_RAW_CALL_H_
