module trustedpods.example/guest/init

go 1.26
