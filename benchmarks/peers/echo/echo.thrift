// The echo service of the benchmark for the frameworks that carry Thrift.
// Field by field it says the same as echo.proto and message.go.
namespace go echothrift

struct Message {
  1: i64 id
  2: string name
  3: binary payload
}

struct Record {
  1: i64 id
  2: i64 created
  3: i64 updated
  4: i64 owner
  5: i32 version
  6: i32 kind
  7: i32 quantity
  8: bool active
  9: bool hidden
  10: double price
  11: double weight
  12: double score
  13: string name
  14: string title
  15: string country
  16: string comment
  17: binary digest
  18: list<string> tags
  19: list<i64> related
  20: map<string, string> labels
}

struct Records {
  1: list<Record> list
}

service Echo {
  Message Echo(1: Message m)
  Records EchoRecords(1: Records r)
  oneway void Notify(1: Message m)
}
