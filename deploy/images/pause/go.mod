module trustedpods.dev/pause

go 1.26
