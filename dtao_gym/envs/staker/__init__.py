"""The staker: a TAO holder who chooses a portfolio over root and the subnets."""
