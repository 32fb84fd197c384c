// Winners and answers as JSON. The fields and their order are part of the command line's contract.
#ifndef MOETUNE_CLI_WINNER_JSON_H_
#define MOETUNE_CLI_WINNER_JSON_H_

#include <nlohmann/json.hpp>
#include <string>

#include "db/record.h"
#include "proto/client.h"

namespace moetune {

using Json = nlohmann::ordered_json;

// Indented, and ends with a newline. What is not UTF-8 becomes U+FFFD.
std::string JsonText(const Json& json);

Json ConfigJson(const Config& config);  // name -> list
Json WinnerJson(const Winner& winner);

// What `moetune query --json` prints. Times and their ratio are null where nothing was measured.
Json AnswerJson(const Problem& asked, const Answer& answer);

}  // namespace moetune

#endif  // MOETUNE_CLI_WINNER_JSON_H_
