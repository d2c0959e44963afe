// Package simulation proves the protocol by which runs are stored and moved. It has tests only.
//
// One seeded scheduler runs the functions' real handlers over the real dispatcher and run package
// as coroutines, one at a time: each gives way before and after every call of the store and of AWS,
// and there it may be delayed, crash, or lose the answer. The store is in memory, AWS is faked true
// to its contracts, and time is simulated: a seed replays exactly. A few seeds also run on DynamoDB
// Local, where MODELDISPATCH_DYNAMODB_LOCAL says where that is.
//
//	go test ./internal/simulation                    # a hundred seeds
//	go test ./internal/simulation -seeds 10000
//	go test ./internal/simulation -break             # breaks each rule, and must notice
//	go test ./internal/simulation -run Simulation -seed 4711 -v
package simulation
