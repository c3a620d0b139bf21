module trustedpods.dev/tunnel

go 1.26.0

require (
	golang.org/x/sys v0.49.0
	// The data plane that other WireGuard peers take too; the kernels here have none of their own.
	golang.zx2c4.com/wireguard v0.0.0-20260522210424-ecfc5a8d5446
)

require (
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.zx2c4.com/wintun v0.0.0-20230126152724-0fa3db229ce2 // indirect
)
